"""The command line: one file a command, whose options are the fields of one dataclass."""

from improved_gan.cli.command_line import app, main

__all__ = ["app", "main"]
