"""The copy of a recipe file in a run folder, `recipe.py`, and the rule by which it is executed.

A run of a recipe file has a copy of it, and its SHA-256 in `recipe.json`. Whoever can write into a run folder (a
download, a shared disk) can put any program there, so the copy is executed only if its content has that SHA-256 and the
user trusts it. A run of a built-in recipe records no SHA-256, so nothing in its folder is ever executed. What is
executed is the content that was hashed: the file is not read again, nor a compiled copy in `__pycache__`.
"""

import hashlib
from collections.abc import Callable
from pathlib import Path

from improved_gan.training.errors import RunError

__all__ = ["Trust", "is_file_of", "trusted_code"]

Trust = bool | Callable[[Path, str], bool]  # whether to execute this file, whose SHA-256 is the second argument


def trusted_code(file: Path, recorded: str, trust: Trust) -> bytes:
    """The content of a run's `recipe.py`, which the caller may execute.

    Args:
        file: the copy in the run folder.
        recorded: its SHA-256 in `recipe.json`.
        trust: whether the user trusts the file, or a function that asks.

    Raises:
        RunError: it is missing, differs from what was recorded, or is not trusted.
    """
    run = file.parent
    try:
        content = file.read_bytes()
    except OSError as error:
        raise RunError(
            f"{run} was made from a recipe file, whose copy {file.name} cannot be read ({error.strerror}): restore it, "
            "or run its train command again"
        ) from error
    digest = hashlib.sha256(content).hexdigest()
    if digest != recorded:
        raise RunError(
            f"{file} is not the recipe file that the run was made from (SHA-256 {digest[:12]}, recorded "
            f"{recorded[:12]}), so it is not executed: restore it, or run its train command again"
        )
    if not (trust(file, digest) if callable(trust) else trust):
        raise RunError(
            f"{run} was made from a recipe file, and loading it executes the copy {file} (SHA-256 {digest[:12]}): "
            "read that file, and give --trust (trust=True in Python) if you trust it"
        )
    return content


def is_file_of(source: str) -> Trust:
    """Trust only copies of a recipe file that the user has named in the same command.

    >>> is_file_of("digits")
    False
    """
    if not source.endswith(".py"):
        return False
    named = hashlib.sha256(Path(source).read_bytes()).hexdigest()
    return lambda _, digest: digest == named
