from string import Formatter

import pytest

from improved_gan.turing_test.errors import TuringTestError
from improved_gan.turing_test.texts import Texts, check_language, languages, read_texts

ENGLISH = Texts.of("en", {}).words


def names(words: object) -> set[str]:
    forms = words.values() if isinstance(words, dict) else [words]
    return {name for form in forms for _, name, _, _ in Formatter().parse(form) if name}


def test_each_language_has_all_texts_with_the_same_names() -> None:
    assert languages() == ["de", "en"]
    for language in languages():
        words = Texts.of(language, {}).words
        assert set(words) == set(ENGLISH)
        for name in words:
            assert names(words[name]) == names(ENGLISH[name]), name


def test_plural_forms_of_polish() -> None:
    """CLDR: 1 bild, 2 to 4 and 22 few, 5 and 12 many; Arabic is written from right to left."""
    own = {
        "pictures": {
            "one": "{count} obraz",
            "few": "{count} obrazy",
            "many": "{count} obrazów",
            "other": "{count} obrazu",
        }
    }
    texts = Texts.of("pl", own)
    assert [texts("pictures", count=one) for one in (1, 3, 5, 12, 22)] == [
        "1 obraz", "3 obrazy", "5 obrazów", "12 obrazów", "22 obrazy"
    ]  # fmt: skip
    assert Texts.of("ar", dict(ENGLISH)).direction == "rtl"


@pytest.mark.parametrize(
    ("language", "own", "words"),
    [("xx-yy-zz", {}, "not the code of"), ("fr", {"tie": "Égal"}, "lack"), ("en", {"teh": "x"}, "unknown names"),
     ("en", {"tie": "{name}"}, "may name nothing"), ("en", {"tie": 3}, "a text, or plural forms"),
     ("en", {"tie": "{"}, "write"), ("en", {"pictures": {"one": "x"}}, "other among them"),
     ("en", {"tie": {"other": "x"}}, "may name")],
)  # fmt: skip
def test_texts_that_do_not_fit(language: str, own: dict, words: str) -> None:
    with pytest.raises(TuringTestError, match=words):
        check_language(language, own)


def test_a_file_of_own_texts(tmp_path) -> None:
    (tmp_path / "t.toml").write_text('tie = "Same"\n', encoding="utf-8")
    assert Texts.of("en", read_texts(tmp_path / "t.toml"))("tie") == "Same"
    (tmp_path / "t.toml").write_text("tie = ", encoding="utf-8")
    with pytest.raises(TuringTestError, match="cannot be read as texts"):
        read_texts(tmp_path / "t.toml")
