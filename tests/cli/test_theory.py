import io
from pathlib import Path

import pytest
from rich.console import Console

from improved_gan.cli.theory import TheoryError, TheoryOptions, theory


def test_a_demonstration_says_what_to_see_and_names_its_files(tmp_path: Path) -> None:
    screen = io.StringIO()
    theory(TheoryOptions("divergences", tmp_path), Console(file=screen, width=200))
    text = screen.getvalue()
    written = [Path(line.removeprefix("written: ")) for line in text.splitlines() if line.startswith("written: ")]
    assert {path.suffix for path in written} == {".png", ".csv"}
    assert all(path.stat().st_size > 0 for path in written)
    assert len(text.splitlines()) > len(written)


def test_unknown_names_and_bad_seeds(tmp_path: Path) -> None:
    with pytest.raises(TheoryError, match="did you mean divergences"):
        theory(TheoryOptions("divergence", tmp_path), Console(file=io.StringIO()))
    with pytest.raises(TheoryError, match="seed must be 0 or more"):
        theory(TheoryOptions("game", tmp_path, -1), Console(file=io.StringIO()))
