"""The contents of a run folder other than its networks: settings, log, sample grids; the folder is only read.

Unfinished runs, runs without a checkpoint and logs with damaged lines are read as far as possible.
"""

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from improved_gan.training.report_line import read_report_line
from improved_gan.training.run_folder import RunFolder

__all__ = ["DiagnosticSpan", "RunRecord", "read_run", "read_runs"]

_LABELED = ("discriminator/supervised", "discriminator/labeled_error")


@dataclass(frozen=True)
class DiagnosticSpan:
    """One diagnostic: its name, its last message, the first and last epoch that raised it, and how many reports did."""

    name: str
    message: str
    first: int
    last: int
    times: int


@dataclass(frozen=True)
class RunRecord:
    """One run.

    Args:
        path: the run folder.
        name: a short name, different from the other runs'.
        settings: the settings in recipe.json.
        reports: the log entries in order of epochs, without numbers that are not finite.
        damaged_lines: number of log lines that were skipped.
        sample_grids: file of the sample grid of each epoch that has one.
        code_sha256: hash of the recipe file that the run was made from; None for a built-in recipe.
    """

    path: Path
    name: str
    settings: dict[str, Any]
    reports: tuple[dict[str, Any], ...]
    damaged_lines: int
    sample_grids: dict[int, Path]
    code_sha256: str | None = None

    @property
    def last(self) -> dict[str, Any]:
        """The newest log entry; empty if there is none."""
        return self.reports[-1] if self.reports else {}

    @property
    def epoch(self) -> int:
        """Epochs reported so far."""
        return int(self.last.get("epoch", 0))

    @property
    def epochs(self) -> int:
        """Epochs planned."""
        return int(self.settings.get("epochs", 0))

    @property
    def finished(self) -> bool:
        """Whether the last planned epoch is reported."""
        return 0 < self.epochs <= self.epoch

    @property
    def test_kind(self) -> str:
        """Which images the log's error was measured on: "test", or "validation" where they were held out."""
        return "validation" if any("validation/error" in report for report in self.reports) else "test"

    @property
    def num_labels(self) -> int | None:
        """The label budget; None if the run has no labels."""
        split = self.settings.get("label_split")
        return int(split.get("num_labels", 0)) or None if isinstance(split, dict) else None

    @property
    def image_shape(self) -> tuple[int, ...]:
        """(C, H, W)."""
        return tuple(self.settings["image_shape"])

    @property
    def learned_classes(self) -> bool:
        """False if the log shows adversarial training without labels: the class outputs are then untrained."""
        names = {name for report in self.reports for name in report}
        return not ("discriminator/adversarial" in names and names.isdisjoint(_LABELED))

    @property
    def diagnostics(self) -> list[DiagnosticSpan]:
        """Every diagnostic in the log, one span each."""
        found: dict[str, DiagnosticSpan] = {}
        for report in self.reports:
            for diagnostic in report["diagnostics"]:
                before = found.get(diagnostic["name"])
                first, times = (before.first, before.times + 1) if before else (report["epoch"], 1)
                found[diagnostic["name"]] = DiagnosticSpan(
                    diagnostic["name"], diagnostic["message"], first, report["epoch"], times
                )
        return list(found.values())


def read_runs(paths: Sequence[Path]) -> list[RunRecord]:
    """Several runs, named by the shortest end of their paths that is unique; the same folder counts once.

    Raises:
        RunError: one of them is no run folder.
    """
    folders = list(dict.fromkeys(path.resolve() for path in paths))
    shown = {path.resolve(): path for path in reversed(paths)}
    for depth in range(1, 1 + max(len(folder.parts) for folder in folders)):
        names = ["/".join(folder.parts[-depth:]) for folder in folders]
        if len(set(names)) == len(folders):
            break
    return [read_run(shown[folder], name=name) for folder, name in zip(folders, names, strict=True)]


def read_run(path: Path, *, name: str | None = None) -> RunRecord:
    """One run, by default under its folder's name.

    Raises:
        RunError: no run folder, or one whose recipe.json was changed.
    """
    folder = RunFolder(path)
    stored = folder.trained_recipe()
    reports, damaged = _read_log(folder.log_file)
    sample_grids = {}
    for file in sorted(folder.samples.glob("epoch-*.png")):
        if match := re.fullmatch(r"epoch-(\d+)\.png", file.name):
            sample_grids[int(match[1])] = file
    return RunRecord(
        path,
        name or path.resolve().name,
        stored["settings"],
        reports,
        damaged,
        dict(sorted(sample_grids.items())),
        stored.get("code_sha256"),
    )


def _read_log(path: Path) -> tuple[tuple[dict[str, Any], ...], int]:
    """The readable log entries, one (the newest) for each epoch, and the number of other lines."""
    if not path.exists():
        return (), 0
    reports, damaged = {}, 0
    for text in path.read_bytes().splitlines():
        if not text.strip():
            continue
        report = read_report_line(text)
        if report is None:
            damaged += 1
        else:
            reports[report["epoch"]] = _cleaned(report)
    return tuple(report for _, report in sorted(reports.items())), damaged


def _cleaned(report: dict[str, Any]) -> dict[str, Any]:
    """Its finite numbers and its diagnostics."""
    numbers = {
        name: value
        for name, value in report.items()
        if isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)
    }
    diagnostics = [
        {"name": diagnostic["name"], "message": diagnostic["message"]} for diagnostic in report.get("diagnostics", [])
    ]
    return {**numbers, "diagnostics": diagnostics}
