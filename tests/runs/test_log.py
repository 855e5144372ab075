import json
import shutil
from pathlib import Path

import pytest

from improved_gan.runs import Run
from improved_gan.runs.log import last_report, parse_report


@pytest.fixture
def run(small_runs: dict[str, Path], tmp_path: Path) -> Path:
    return Path(shutil.copytree(small_runs["first"], tmp_path / "run"))


def test_a_finished_run_is_read_as_it_was_logged(run: Path) -> None:
    record = Run(run)
    assert [report["epoch"] for report in record.log.reports] == [1, 2, 3, 4]
    assert record.finished
    assert (record.name, record.log.epoch, record.epochs, record.num_labels) == ("run", 4, 4, 50)
    assert list(record.sample_grids) == [1, 2, 3, 4]
    assert record.image_shape == (1, 8, 8)
    assert record.log.learned_classes
    assert record.log.damaged_lines == 0


def test_a_run_without_labels_is_known_by_its_log(small_runs: dict[str, Path]) -> None:
    assert not Run(small_runs["pictures"]).log.learned_classes


def test_damaged_lines_are_counted_and_numbers_that_are_not_finite_left_out(run: Path) -> None:
    log = run / "log.jsonl"
    lines = log.read_bytes().splitlines()
    third = {**json.loads(lines[2]), "generator/feature_matching": float("nan"), "note": "text", "flag": True}
    damaged = [lines[0], b'{"epoch": 2, "st', b"\xff\xfe\x00", b"[1, 2]", b"17", b'{"epoch": "x", "step": 3}', b""]
    log.write_bytes(b"\n".join([*damaged, json.dumps(third).encode(), lines[0]]))
    record = Run(run)
    assert [report["epoch"] for report in record.log.reports] == [1, 3]
    assert record.log.damaged_lines == 5
    assert {"generator/feature_matching", "note", "flag"}.isdisjoint(record.log.reports[1])
    assert not record.finished


def test_a_run_that_has_only_begun(run: Path) -> None:
    (run / "log.jsonl").unlink()
    shutil.rmtree(run / "samples")
    record = Run(run)
    assert record.log.reports == ()
    assert record.log.last == {}
    assert record.log.epoch == 0
    assert record.sample_grids == {}
    assert record.log.diagnostics == []


def test_alarms_come_once_each_with_their_span(run: Path) -> None:
    log = run / "log.jsonl"
    reports = [json.loads(line) for line in log.read_text().splitlines()]
    for report, names in zip(reports, (["a"], ["a", "b"], [], ["a"]), strict=True):
        report["diagnostics"] = [{"name": name, "message": f"{name} at {report['epoch']}"} for name in names]
    reports[2]["diagnostics"] = "damaged"
    log.write_text("\n".join(map(json.dumps, reports)))
    spans = {span.name: (span.first, span.last, span.times, span.message) for span in Run(run).log.diagnostics}
    assert spans == {"a": (1, 4, 3, "a at 4"), "b": (2, 2, 1, "b at 2")}


LINE = {"epoch": 1, "epochs": 2, "step": 20, "seconds": 1.5, "test/error": 0.5, "diagnostics": []}


def test_a_report_is_read_as_written() -> None:
    assert parse_report(json.dumps(LINE).encode()) == LINE
    diverged = parse_report(json.dumps({**LINE, "generator/adversarial": float("inf")}).encode())
    assert diverged is not None
    assert diverged["generator/adversarial"] == float("inf")


@pytest.mark.parametrize(
    "changes",
    [
        {"epoch": None},
        {"epoch": True},
        {"step": 1.5},
        {"step": -1},
        {"step": 10**30},
        {"test/error": "0.5"},
        {"test/error": 10**400},
        {"seconds": []},
        {"diagnostics": {}},
        {"diagnostics": [1]},
        {"diagnostics": [{"name": "won"}]},
        {"diagnostics": [{"name": "won", "message": None}]},
    ],
)
def test_values_of_another_type_are_no_report(changes: dict[str, object]) -> None:
    assert parse_report(json.dumps({**LINE, **changes}).encode()) is None


def test_half_a_character_in_a_message_is_damage() -> None:
    text = json.dumps({**LINE, "diagnostics": [{"name": "a", "message": "here"}]}).encode()
    for half, kept in ((b"\\ud800", False), (b"\xed\xa0\x80", False), (b"\\ud83d\\ude00", True)):
        assert (parse_report(text.replace(b"here", half)) is not None) == kept


@pytest.mark.parametrize("text", [b"", b"null", b"[]", b"{", b"\xff", b"[" * 100_000, b'{"epoch": 1}', b"9" * 5000])
def test_an_unreadable_line_is_no_report(text: bytes) -> None:
    assert parse_report(text) is None


def test_the_last_whole_report_counts(tmp_path: Path) -> None:
    log = tmp_path / "log.jsonl"
    assert last_report(log) == {}
    one, two, three = ({"epoch": epoch, "step": 12 * epoch} for epoch in (1, 2, 3))
    log.write_text("\n".join(map(json.dumps, (one, {**two, "note": "x" * 70_000}, three))) + '\n{"epo')
    assert last_report(log) == three
    log.write_text(json.dumps(one) + '\n{"epoch": "x", "step": 1}\n{"epoch": 2}\n[1]\n' + "[" * 60_000)
    assert last_report(log) == one
