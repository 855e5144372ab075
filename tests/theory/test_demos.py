import pytest

from improved_gan.theory import demos
from improved_gan.theory.demos import DEMOS, show


def test_an_unknown_name_is_refused_with_the_nearest(tmp_path) -> None:
    with pytest.raises(ValueError, match=r"'divergence': did you mean divergences\? There are game, divergences"):
        show("divergence", tmp_path)
    with pytest.raises(ValueError, match=r"'zzz': There are game"):
        show("zzz", tmp_path)
    with pytest.raises(ValueError, match="seed must be 0 or more; got -1"):
        show("game", tmp_path, seed=-1)


def test_creates_the_folder_and_passes_the_seed(tmp_path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(demos.DEMOS, "game", lambda out, seed: ([out / f"{seed}.png"], "look"))
    shown = show("game", tmp_path / "deep" / "down", seed=7)
    assert (tmp_path / "deep" / "down").is_dir()
    assert shown.files == (tmp_path / "deep" / "down" / "7.png",)
    assert shown.text == "look"


def test_names_are_those_of_the_command() -> None:
    assert list(DEMOS) == ["game", "divergences", "smoothed-discriminator", "mode-collapse"]
