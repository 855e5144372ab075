"""log.jsonl: one report a line; any byte may be damaged, and a line that is no report is skipped.

A report has the whole numbers `epoch` and `step`; every name with a slash is a number (`test/error`); `diagnostics` is
a list of `{"name": str, "message": str}`. This is the only module that reads or writes the file.
"""

import json
import math
import os
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from improved_gan.io import write_atomically

__all__ = [
    "DiagnosticSpan",
    "Log",
    "append_report",
    "last_report",
    "parse_report",
    "read_log",
    "rewind_log",
    "set_log_aside",
]

_WHOLE = ("epoch", "epochs", "step")
_NUMBERS = ("seconds", "learning_rate", "models")
_MAX = 2**53  # larger integers are not exact as floats
_TAIL = 1 << 16  # bytes; a report has one or two thousand
_LABELED = ("discriminator/supervised", "discriminator/labeled_error")

Report = dict[str, Any]


@dataclass(frozen=True)
class DiagnosticSpan:
    """One diagnostic: its name, its last message, the first and last epoch that raised it, and how many reports did."""

    name: str
    message: str
    first: int
    last: int
    times: int


@dataclass(frozen=True)
class Log:
    """The reports of a run.

    Args:
        lines: the reports as they were written.
        damaged_lines: number of lines that were skipped.
    """

    lines: tuple[Report, ...] = ()
    damaged_lines: int = 0

    @cached_property
    def reports(self) -> tuple[Report, ...]:
        """One report (the newest) for each epoch, in order, without numbers that are not finite."""
        newest = {line["epoch"]: _cleaned(line) for line in self.lines}
        return tuple(report for _, report in sorted(newest.items()))

    @property
    def last(self) -> Report:
        """The newest report; empty if there is none."""
        return self.reports[-1] if self.reports else {}

    @property
    def epoch(self) -> int:
        """Epochs reported so far."""
        return int(self.last.get("epoch", 0))

    @property
    def test_kind(self) -> str:
        """Which images the error was measured on: "test", or "validation" where they were held out."""
        return "validation" if any("validation/error" in report for report in self.reports) else "test"

    @property
    def learned_classes(self) -> bool:
        """False if the log shows adversarial training without labels: the class outputs are then untrained."""
        names = {name for report in self.reports for name in report}
        return not ("discriminator/adversarial" in names and names.isdisjoint(_LABELED))

    @property
    def diagnostics(self) -> list[DiagnosticSpan]:
        """Every diagnostic, one span each."""
        found: dict[str, DiagnosticSpan] = {}
        for report in self.reports:
            for diagnostic in report["diagnostics"]:
                name, before = diagnostic["name"], found.get(diagnostic["name"])
                first, times = (before.first, before.times + 1) if before else (report["epoch"], 1)
                found[name] = DiagnosticSpan(name, diagnostic["message"], first, report["epoch"], times)
        return list(found.values())


def read_log(file: Path) -> Log:
    """All reports so far."""
    if not file.exists():
        return Log()
    texts = [text for text in file.read_bytes().splitlines() if text.strip()]
    lines = [line for text in texts if (line := parse_report(text)) is not None]
    return Log(tuple(lines), len(texts) - len(lines))


def last_report(file: Path) -> Report:
    """The last whole report, from the end of the file alone; empty if there is none."""
    try:
        with file.open("rb") as opened:
            opened.seek(max(0, opened.seek(0, 2) - _TAIL))
            lines = opened.read().splitlines()
    except OSError:
        return {}
    reports = (parse_report(line) for line in reversed(lines))  # the first may begin before the tail
    return next((report for report in reports if report is not None), {})


def append_report(file: Path, report: Mapping[str, Any]) -> None:
    """Add one report, and wait for the disk."""
    with file.open("a", encoding="utf-8") as opened:
        opened.write(json.dumps(report) + "\n")
        opened.flush()
        os.fsync(opened.fileno())


def rewind_log(file: Path, step: int) -> None:
    """Drop reports after `step`: the resumed run makes them again."""
    kept = [line for line in read_log(file).lines if line["step"] <= step]
    write_atomically(file, "".join(json.dumps(line) + "\n" for line in kept).encode())


def set_log_aside(file: Path) -> Path:
    """Add the log to `log-before.jsonl` beside it, for a run that begins again without a checkpoint."""
    kept = file.with_name("log-before.jsonl")
    with kept.open("ab") as opened:
        opened.write(file.read_bytes())
    return kept


def parse_report(text: bytes) -> Report | None:
    """The report as it was written; None if the line is truncated or damaged.

    >>> parse_report(b'{"epoch": 1, "step": 20, "test/error": 0.5}')
    {'epoch': 1, 'step': 20, 'test/error': 0.5}
    >>> parse_report(b'{"epoch": 1, "step": 20, "test/err')
    """
    try:
        line = json.loads(text)
        json.dumps(line, ensure_ascii=False).encode()  # fails on half a character, which no page or file could hold
    except (ValueError, RecursionError):  # also for bytes that are no UTF-8
        return None
    if not isinstance(line, dict) or not {"epoch", "step"} <= line.keys():
        return None
    return line if all(_fits(name, value) for name, value in line.items()) else None


def _fits(name: str, value: Any) -> bool:
    if name in _WHOLE:
        return isinstance(value, int) and not isinstance(value, bool) and 0 <= value < _MAX
    if "/" in name or name in _NUMBERS:
        return _is_number(value)
    return name != "diagnostics" or _are_diagnostics(value)


def _is_number(value: Any) -> bool:
    """Infinity and NaN included: a run that diverges writes them."""
    if isinstance(value, float):
        return True
    return isinstance(value, int) and not isinstance(value, bool) and abs(value) < _MAX


def _are_diagnostics(value: Any) -> bool:
    return isinstance(value, list) and all(
        isinstance(one, dict) and isinstance(one.get("name"), str) and isinstance(one.get("message"), str)
        for one in value
    )


def _cleaned(line: Report) -> Report:
    """Its finite numbers and its diagnostics."""
    numbers = {
        name: value
        for name, value in line.items()
        if isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)
    }
    texts = [{"name": one["name"], "message": one["message"]} for one in line.get("diagnostics", [])]
    return {**numbers, "diagnostics": texts}
