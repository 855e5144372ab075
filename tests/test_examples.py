"""Every example runs for a few steps without a warning and stays short; each technique has one."""

import re
import runpy
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
EXAMPLES = sorted((ROOT / "examples").glob("*.py"))
TECHNIQUES = sorted(path.stem for path in (ROOT / "src" / "improved_gan" / "techniques").glob("[a-z]*.py"))


def test_every_technique_has_an_example() -> None:
    assert [path.stem for path in EXAMPLES] == ["dcgan", *(f"dcgan_{name}" for name in TECHNIQUES)]


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_example_runs_and_writes_a_picture(
    path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.syspath_prepend(path.parent)
    monkeypatch.setattr(sys, "argv", [path.name, "--steps", "5", "--out", str(tmp_path / "grid.png")])
    runpy.run_path(str(path), run_name="__main__")
    assert re.search(r"step +5 +discriminator \d", capsys.readouterr().out)
    assert (tmp_path / "grid.png").read_bytes().startswith(b"\x89PNG")


def test_example_runs_as_its_docstring_says(tmp_path: Path) -> None:
    line = next(line for line in EXAMPLES[0].read_text().splitlines() if line.startswith("python examples/"))
    arguments = line.replace("600", "2").replace("dcgan.png", str(tmp_path / "grid.png")).split()
    subprocess.run([sys.executable, *arguments[1:]], check=True, cwd=ROOT)
    assert (tmp_path / "grid.png").exists()


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_example_is_short(path: Path) -> None:
    lines = [line for line in path.read_text().splitlines() if line.strip()]
    assert len(lines) <= (70 if path.stem == "dcgan" else 40)
