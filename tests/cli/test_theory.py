import io
from pathlib import Path

import pytest
from rich.console import Console

from improved_gan.cli.theory import TheoryError, TheoryOptions, theory
from improved_gan.theory.demos import DEMOS


def test_a_demonstration_says_what_to_see_and_names_its_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def demo(out: Path, seed: int) -> tuple[list[Path], str]:  # what the real ones write: tests/theory
        return [out / "figure.png", out / f"{seed}.csv"], "what to [see]"

    monkeypatch.setitem(DEMOS, "divergences", demo)
    screen, out = io.StringIO(), tmp_path / "new"
    theory(TheoryOptions("divergences", out, seed=7), Console(file=screen, width=200))
    assert screen.getvalue().splitlines() == [
        "what to [see]",
        f"written: {out / 'figure.png'}",
        f"written: {out / '7.csv'}",
    ]
    assert out.is_dir()


def test_unknown_names_and_bad_seeds(tmp_path: Path) -> None:
    with pytest.raises(TheoryError, match="did you mean divergences"):
        theory(TheoryOptions("divergence", tmp_path), Console(file=io.StringIO()))
    with pytest.raises(TheoryError, match="seed must be 0 or more"):
        theory(TheoryOptions("game", tmp_path, -1), Console(file=io.StringIO()))
