"""Names of images in folders and archives of any system, normalized and compared.

Windows' programs write backslashes, old zips hold UTF-8 without saying so, tars put `./` in front, macOS decomposes
accents.
"""

import unicodedata
from collections.abc import Callable, Iterable
from pathlib import PurePosixPath
from zipfile import ZipInfo

__all__ = ["NameTable", "plain_name", "stem_of", "zip_name"]

_UTF8 = 0x800  # flag of a zip's entry


def plain_name(written: str) -> str:
    r"""A name with slashes, relative, without `./`: how every source gives the names of its images.

    >>> plain_name("set\\cat\\1.png"), plain_name("./cat//1.png"), plain_name("/cat/1.png")
    ('set/cat/1.png', 'cat/1.png', 'cat/1.png')
    """
    if "\\" not in written and "./" not in written and "//" not in written and not written.startswith("/"):
        return written
    return str(PurePosixPath(written.replace("\\", "/"))).lstrip("/")


def zip_name(entry: ZipInfo) -> str:
    """The plain name of a zip's entry; one without the flag for UTF-8 that is UTF-8 all the same is read so."""
    name = entry.filename
    if not entry.flag_bits & _UTF8 and not name.isascii():
        try:
            name = name.encode("cp437").decode("utf-8")
        except UnicodeError:  # it was cp437, then
            name = entry.filename
    return plain_name(name)


def stem_of(name: str) -> str:
    """A name without its last ending.

    >>> stem_of("cat/a.1.png"), stem_of("cat.x/a")
    ('cat/a.1', 'cat.x/a')
    """
    path = PurePosixPath(name)
    return str(path.parent / path.stem)


def _composed(name: str) -> str:
    return unicodedata.normalize("NFC", plain_name(name))


class NameTable:
    """Finds names that are written otherwise than they are: accents composed or not, slashes, capitals.

    Args:
        names: that there are; a name that only differs from another in this way is found as it stands, or not at all.
    """

    def __init__(self, names: Iterable[str]) -> None:
        self._names = frozenset(names)
        self._others: list[dict[str, str | None]] | None = None  # made when first needed: most names stand as they are

    def find(self, written: str) -> str | None:
        """The name that is meant, or None: there is none, or several could be meant.

        >>> NameTable(["Cat/1.png", "cafe\\u0301.png"]).find("cat\\\\1.PNG")
        'Cat/1.png'
        """
        if written in self._names:
            return written
        if self._others is None:
            self._others = [_by(self._names, _composed), _by(self._names, _without_case)]
        composed, without_case = self._others
        key = _composed(written)
        if key in composed:
            return composed[key]
        return without_case.get(_without_case(written))

    def is_ambiguous(self, written: str) -> bool:
        """Whether several names could be meant."""
        return self.find(written) is None and _without_case(written) in (self._others or [{}, {}])[1]


def _without_case(name: str) -> str:
    return _composed(_composed(name).casefold())


def _by(names: Iterable[str], key: Callable[[str], str]) -> dict[str, str | None]:
    """Name by key; None where several have one key."""
    found: dict[str, str | None] = {}
    for name in names:
        one = key(name)
        found[one] = None if one in found else name
    return found
