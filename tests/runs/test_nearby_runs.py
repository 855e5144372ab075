from pathlib import Path

import pytest

from improved_gan.runs.nearby_runs import did_you_mean, no_run


@pytest.fixture
def runs(tmp_path: Path) -> Path:
    for name in ("mnist-100-seed1", "mnist-100-seed2", "cats"):
        (tmp_path / "runs" / name / "checkpoints").mkdir(parents=True)
        (tmp_path / "runs" / name / "recipe.json").write_text("{}")
    (tmp_path / "runs" / "mnist-photos").mkdir()
    return tmp_path / "runs"


def test_a_mistyped_name_suggests_similar_runs(runs: Path) -> None:
    assert (
        no_run(runs / "cat")
        == f"{runs / 'cat'} is not a run folder: there is no such folder; did you mean {runs / 'cats'}?"
    )
    assert did_you_mean(runs / "mnist-100-seed3").count("mnist-100-seed") == 2
    assert did_you_mean(runs / "zebra") == ""


def test_paths_above_and_inside_a_run(runs: Path) -> None:
    assert f"holds no recipe.json; did you mean {runs / 'cats'} or" in no_run(runs)
    assert did_you_mean(runs.parent).count("runs/") == 3
    assert did_you_mean(runs / "cats" / "checkpoints") == f"; did you mean {runs / 'cats'}?"
    assert "it is a file; did you mean" in no_run(runs / "cats" / "recipe.json")


def test_no_suggestion(tmp_path: Path) -> None:
    path = tmp_path / "nowhere" / "at" / "all"
    assert no_run(path) == f"{path} is not a run folder: there is no such folder"
