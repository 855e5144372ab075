"""Format names and numbers for messages: a few of many, abbreviated where they are long."""

from collections.abc import Sequence

__all__ = ["counted", "listed", "shortened"]

_LISTED = 5
_LONGEST = 120


def listed(names: Sequence[str]) -> str:
    """The first names, and how many more there are.

    >>> listed(["a", "b", "c", "d", "e", "f", "g"])
    'a, b, c, d, e and 2 more'
    """
    more = f" and {len(names) - _LISTED} more" if len(names) > _LISTED else ""
    return ", ".join(shortened(name) for name in names[:_LISTED]) + more


def shortened(text: str) -> str:
    """The beginning of a text that is too long for a message."""
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]} ..."


def counted(num: int, noun: str) -> str:
    """A number and what it counts.

    >>> counted(1, "folder"), counted(2, "folder")
    ('1 folder', '2 folders')
    """
    return f"{num} {noun}" if num == 1 else f"{num} {noun}s"
