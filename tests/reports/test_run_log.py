import json
import shutil
from pathlib import Path

import pytest

from improved_gan.reports.run_log import read_run, read_runs
from improved_gan.training.errors import RunError


@pytest.fixture
def run(small_runs: dict[str, Path], tmp_path: Path) -> Path:
    return Path(shutil.copytree(small_runs["first"], tmp_path / "run"))


def test_a_finished_run_is_read_as_it_was_logged(run: Path) -> None:
    record = read_run(run)
    assert [report["epoch"] for report in record.reports] == [1, 2, 3, 4]
    assert record.finished
    assert (record.name, record.epoch, record.epochs, record.num_labels) == ("run", 4, 4, 50)
    assert list(record.sample_grids) == [1, 2, 3, 4]
    assert record.image_shape == (1, 8, 8)
    assert record.learned_classes
    assert record.damaged_lines == 0


def test_a_run_without_labels_is_known_by_its_log(small_runs: dict[str, Path]) -> None:
    assert not read_run(small_runs["pictures"]).learned_classes


def test_damaged_lines_are_counted_and_numbers_that_are_not_finite_left_out(run: Path) -> None:
    log = run / "log.jsonl"
    lines = log.read_bytes().splitlines()
    third = {**json.loads(lines[2]), "generator/feature_matching": float("nan"), "note": "text", "flag": True}
    damaged = [lines[0], b'{"epoch": 2, "st', b"\xff\xfe\x00", b"[1, 2]", b"17", b'{"epoch": "x", "step": 3}', b""]
    log.write_bytes(b"\n".join([*damaged, json.dumps(third).encode(), lines[0]]))
    record = read_run(run)
    assert [report["epoch"] for report in record.reports] == [1, 3]
    assert record.damaged_lines == 5
    assert {"generator/feature_matching", "note", "flag"}.isdisjoint(record.reports[1])
    assert not record.finished


def test_a_run_that_has_only_begun(run: Path) -> None:
    (run / "log.jsonl").unlink()
    shutil.rmtree(run / "samples")
    record = read_run(run)
    assert record.reports == ()
    assert record.last == {}
    assert record.epoch == 0
    assert record.sample_grids == {}
    assert record.diagnostics == []


def test_alarms_come_once_each_with_their_span(run: Path) -> None:
    log = run / "log.jsonl"
    reports = [json.loads(line) for line in log.read_text().splitlines()]
    for report, names in zip(reports, (["a"], ["a", "b"], [], ["a"]), strict=True):
        report["diagnostics"] = [{"name": name, "message": f"{name} at {report['epoch']}"} for name in names]
    reports[2]["diagnostics"] = "damaged"
    log.write_text("\n".join(map(json.dumps, reports)))
    spans = {span.name: (span.first, span.last, span.times, span.message) for span in read_run(run).diagnostics}
    assert spans == {"a": (1, 4, 3, "a at 4"), "b": (2, 2, 1, "b at 2")}


def test_names_take_as_much_of_the_path_as_they_need(small_runs: dict[str, Path], tmp_path: Path) -> None:
    for folder in ("x", "y"):
        shutil.copytree(small_runs["first"], tmp_path / folder / "run")
    paths = [tmp_path / "x" / "run", tmp_path / "y" / "run", tmp_path / "x" / ".." / "x" / "run"]
    assert [record.name for record in read_runs(paths)] == ["x/run", "y/run"]
    assert [record.name for record in read_runs(paths[:1])] == ["run"]


def test_no_run_folder_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(RunError, match="is no run folder"):
        read_runs([tmp_path])
