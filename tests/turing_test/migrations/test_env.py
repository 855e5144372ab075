from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext

from improved_gan.turing_test.database import migration_config, open_database, writing
from improved_gan.turing_test.migrations import env
from improved_gan.turing_test.tables import Base


def test_the_migrations_lead_to_the_tables_of_the_code_and_back(database: str) -> None:
    assert callable(env.run)
    engine = open_database(database)
    with engine.connect() as connection:
        assert compare_metadata(MigrationContext.configure(connection), Base.metadata) == []
    with writing(engine) as connection:
        command.downgrade(migration_config(connection), "base")
    with engine.connect() as connection:
        left = {one[0] for one in compare_metadata(MigrationContext.configure(connection), Base.metadata)}
        assert "add_table" in left
    engine.dispose()
    engine = open_database(database)
    with engine.connect() as connection:
        assert compare_metadata(MigrationContext.configure(connection), Base.metadata) == []
    engine.dispose()
