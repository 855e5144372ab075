import json

import pytest

from improved_gan.training.report_line import read_report_line

LINE = {"epoch": 1, "epochs": 2, "step": 20, "seconds": 1.5, "test/error": 0.5, "diagnostics": []}


def test_a_report_is_read_as_written() -> None:
    assert read_report_line(json.dumps(LINE).encode()) == LINE
    diverged = read_report_line(json.dumps({**LINE, "generator/adversarial": float("inf")}).encode())
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
    assert read_report_line(json.dumps({**LINE, **changes}).encode()) is None


@pytest.mark.parametrize("text", [b"", b"null", b"[]", b"{", b"\xff", b"[" * 100_000, b'{"epoch": 1}', b"9" * 5000])
def test_an_unreadable_line_is_no_report(text: bytes) -> None:
    assert read_report_line(text) is None
