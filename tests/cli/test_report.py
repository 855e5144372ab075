import io
from pathlib import Path

import pytest
from rich.console import Console

from improved_gan.cli.report import ReportOptions, report
from improved_gan.training.errors import RunError


def go(runs: list[Path], out: Path, **words: object) -> str:
    screen = io.StringIO()
    report(ReportOptions(tuple(runs), out, **{"trust": True, **words}), Console(file=screen, width=300))
    return screen.getvalue()


def test_one_file_that_replaces_an_older_one(small_runs: dict[str, Path], tmp_path: Path) -> None:
    out = tmp_path / "new" / "report.html"
    out.parent.mkdir()
    out.write_text("old")
    said = go([small_runs["first"], small_runs["pictures"]], out)
    page = out.read_text()
    assert page.startswith("<!DOCTYPE html>") or page.lstrip().startswith("<!DOCTYPE html>")
    assert "<h1>2 runs side by side</h1>" in page
    assert f"{out}: {len(page.encode()) / 1e6:.1f} MB" in said
    assert "pictures: some parts are missing: the run was trained without labels" in said
    assert [entry.name for entry in out.parent.iterdir()] == ["report.html"]


def test_the_folder_alone_executes_no_recipe_file(
    small_runs: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("improved_gan.recipes.registry.from_code", lambda *_: pytest.fail("it was executed"))
    go([small_runs["first"]], tmp_path / "report.html", log_only=True, title="mine")
    assert "<title>mine</title>" in (tmp_path / "report.html").read_text()


def test_a_name_that_is_not_that_of_a_page(small_runs: dict[str, Path], tmp_path: Path) -> None:
    with pytest.raises(RunError, match=r"ends in \.html"):
        go([small_runs["first"]], tmp_path / "recipe.json")


def test_an_unknown_run_leaves_nothing_behind(small_runs: dict[str, Path], tmp_path: Path) -> None:
    with pytest.raises(RunError, match="is not a run folder"):
        go([small_runs["first"], tmp_path / "nowhere"], tmp_path / "report.html")
    assert list(tmp_path.iterdir()) == []
