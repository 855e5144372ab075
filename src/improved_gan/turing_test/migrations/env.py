"""What Alembic runs: the change of form, on the connection that `database` hands over, in its transaction."""

from alembic import context

from improved_gan.turing_test.tables import Base


def run() -> None:
    """Apply the migrations that are asked for."""
    context.configure(
        connection=context.config.attributes["connection"], target_metadata=Base.metadata, render_as_batch=True
    )
    context.run_migrations()


if __name__ == "env_py":  # the name that Alembic loads it by; a plain import does nothing
    run()
