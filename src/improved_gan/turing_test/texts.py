"""The texts of the judges' pages: one TOML file a language (`languages/`), and a researcher's own file over it.

A text may hold {names}; one that depends on a number is a table of plural forms, chosen by the rules of the language
(Unicode CLDR, by Babel): `seconds = { one = "{count} second", other = "{count} seconds" }`.
"""

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from string import Formatter
from typing import Any

from babel import Locale, UnknownLocaleError

from improved_gan.turing_test.errors import TuringTestError, short

__all__ = ["Texts", "check_language", "languages", "read_texts"]

_FOLDER = Path(__file__).parent / "languages"


@lru_cache
def _built_in(language: str) -> dict[str, Any]:
    return tomllib.loads((_FOLDER / f"{language}.toml").read_text(encoding="utf-8"))


def languages() -> list[str]:
    """The languages whose texts are complete."""
    return sorted(path.stem for path in _FOLDER.glob("*.toml"))


@dataclass(frozen=True, eq=False)
class Texts:
    """The texts of one study, called by name.

    Example:
        >>> texts = Texts.of("en", {})
        >>> texts("pictures", count=1), texts("pictures", count=2)
        ('1 picture', '2 pictures')
    """

    language: str
    words: Mapping[str, Any]
    locale: Locale

    @staticmethod
    def of(language: str, own: Mapping[str, Any]) -> "Texts":
        """The texts of a language, or in it, with a researcher's own over them."""
        base = _built_in(language) if language in languages() else {}
        return Texts(language, {**base, **own}, Locale.parse(language, sep="-"))

    def __call__(self, name: str, **values: Any) -> str:
        """The text of that name, its {names} replaced; `count` chooses the plural form."""
        words = self.words[name]
        if isinstance(words, Mapping):
            words = words.get(self.locale.plural_form(values["count"]), words["other"])
        return str(words).format(**values)

    @property
    def direction(self) -> str:
        """Ltr or rtl."""
        return "rtl" if self.locale.character_order == "right-to-left" else "ltr"


def check_language(language: str, own: Mapping[str, Any]) -> None:
    """Refuse texts that are incomplete, of an unknown language, or with other {names} than the English ones.

    Raises:
        TuringTestError: what does not fit, and what to do.
    """
    try:
        Locale.parse(language, sep="-")
    except (UnknownLocaleError, ValueError) as error:
        raise TuringTestError(f"{short(language, 40)!r} is not the code of a language, such as en or pt-BR") from error
    english = _built_in("en")
    unknown = set(own) - set(english)
    if unknown:
        raise TuringTestError(f"the texts hold unknown names {short(sorted(unknown))}: see languages/en.toml")
    missing = set() if language in languages() else set(english) - set(own)
    if missing:
        raise TuringTestError(f"the texts for {language} lack {len(missing)} names: {short(sorted(missing))}")
    for name, words in own.items():
        _check_words(name, words, english[name])


def _check_words(name: str, words: Any, english: Any) -> None:
    forms = dict(words) if isinstance(words, Mapping) else {"other": words}
    known = {"zero", "one", "two", "few", "many", "other"}
    if "other" not in forms or not set(forms) <= known or not all(isinstance(one, str) for one in forms.values()):
        raise TuringTestError(f"text {name}: a text, or plural forms of {', '.join(sorted(known))}, other among them")
    allowed = set().union(*(_fields(one) for one in (english.values() if isinstance(english, Mapping) else [english])))
    for one in forms.values():
        try:
            extra = _fields(one) - allowed
        except ValueError as error:
            raise TuringTestError(f"text {name}: {short(error)} (write {{{{ for a brace)") from error
        if extra or (isinstance(words, Mapping) and "count" not in allowed):
            raise TuringTestError(f"text {name}: it may name {sorted(allowed) or 'nothing'}, not {sorted(extra)}")


def _fields(words: str) -> set[str]:
    return {name for _, name, _, _ in Formatter().parse(words) if name is not None}


def read_texts(path: Path) -> dict[str, Any]:
    """A researcher's texts from a TOML file.

    Raises:
        TuringTestError: no such file, or no TOML.
    """
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise TuringTestError(f"{path} cannot be read as texts (TOML): {short(error)}") from error
