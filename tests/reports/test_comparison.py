import shutil
from pathlib import Path

import pytest

from improved_gan.reports.comparison import compare, flatten, groups, named_runs
from improved_gan.runs import Run
from improved_gan.training.errors import RunError


def record(name: str, **settings: object) -> Run:
    """A run with these settings alone."""
    run = Run(Path(name))
    run.settings = settings
    return run


def test_runs_that_differ_in_their_seeds_are_one_group(small_runs: dict[str, Path]) -> None:
    runs = named_runs([small_runs[name] for name in ("first", "pictures", "second")])
    found = groups(runs)
    assert [group.members for group in found] == [(0, 2), (1,)]
    assert found[0].name == "SemiSupervised.py, 50 labels" or found[0].name.startswith("small-SemiSupervised")


def test_what_differs_is_marked_and_nothing_else(small_runs: dict[str, Path]) -> None:
    rows = {row.name: row for row in compare(named_runs([small_runs["first"], small_runs["second"]]))}
    assert {name for name, row in rows.items() if row.differs} == {"seed", "label_split.seed", "label_split.sha256"}
    assert rows["seed"].values == ("1", "2")
    assert rows["generator.hidden"].values == ("32", "32")
    assert not any("indices" in name for name in rows)


def test_a_setting_that_one_run_lacks_differs() -> None:
    rows = compare([record("a", values={"x": 1, "y": None}), record("b", values={"x": 1})])
    assert [(row.name, row.values, row.differs) for row in rows] == [
        ("x", ("1", "1"), False),
        ("y", ("none", ""), True),
    ]


def test_groups_of_one_name_are_told_apart() -> None:
    runs = [
        record("a", recipe="r", label_split={"num_labels": 0}, lr=1),
        record("b", recipe="r", label_split={"num_labels": 0}, lr=2),
        record("c", recipe="r", label_split={"num_labels": 0}, lr=1),
    ]
    assert [(group.name, group.members) for group in groups(runs)] == [("r (a ...)", (0, 2)), ("r (b ...)", (1,))]


def test_nested_lists_and_kinds_of_values() -> None:
    flat = flatten({"a": [{"b": True}, [1, 2]], "c": [], "d": 1e-4, "values": {"name": "left out"}})
    assert flat == {"a.0.b": "yes", "a.1": "1, 2", "c": "", "d": "0.0001"}


def test_names_take_as_much_of_the_path_as_they_need(small_runs: dict[str, Path], tmp_path: Path) -> None:
    for folder in ("x", "y"):
        shutil.copytree(small_runs["first"], tmp_path / folder / "run")
    paths = [tmp_path / "x" / "run", tmp_path / "y" / "run", tmp_path / "x" / ".." / "x" / "run"]
    assert [record.name for record in named_runs(paths)] == ["x/run", "y/run"]
    assert [record.name for record in named_runs(paths[:1])] == ["run"]


def test_no_run_folder_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(RunError, match="is no run folder"):
        named_runs([tmp_path])
