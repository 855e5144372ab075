"""The `improved-gan` command."""


def main() -> None:
    """Run the command line."""
