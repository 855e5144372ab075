"""The report as one HTML file: nothing is loaded from elsewhere, which a content security policy enforces."""

import base64
import hashlib
import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from improved_gan import __version__
from improved_gan.reports.classification import wilson_interval
from improved_gan.reports.comparison import Group, compare, groups
from improved_gan.reports.curves import panels
from improved_gan.reports.evaluate_run import Evidence
from improved_gan.reports.run_log import RunRecord
from improved_gan.reports.sample_timeline import make_timeline
from improved_gan.reports.sections import classifier_findings, neighbor_findings

__all__ = ["ShownRun", "render"]

_HERE = Path(__file__).parent
_COLORS = 8


@dataclass(frozen=True)
class ShownRun:
    """A run and the results of its networks; None with `--log-only`."""

    run: RunRecord
    evidence: Evidence | None


def render(shown: Sequence[ShownRun], *, title: str, now: datetime) -> str:
    """The page.

    Args:
        shown: at least one run.
        title: the heading.
        now: the time shown as that of its making.
    """
    runs = [one.run for one in shown]
    run_groups = groups(runs)
    script = (_HERE / "static" / "report.js").read_text(encoding="utf-8")
    charts = panels(runs, run_groups)
    timeline = make_timeline(runs)
    environment = _environment()
    return environment.get_template("report.html").render(
        title=title,
        now=now,
        version=__version__,
        css=Markup((_HERE / "static" / "report.css").read_text(encoding="utf-8")),
        script=Markup(script),
        script_hash=base64.b64encode(hashlib.sha256(script.encode()).digest()).decode(),
        runs=runs,
        owners=_owners(runs, run_groups),
        grouped=any(len(group.members) > 1 for group in run_groups),
        panels=charts,
        curve_data=[panel.as_dict() for panel in charts],
        timeline=timeline,
        timeline_data=timeline.as_dict(),
        overview=[_overview(place, one) for place, one in enumerate(shown)],
        classifiers=[one.evidence and classifier_findings(one.evidence) for one in shown],
        neighbors=[one.evidence and neighbor_findings(one.evidence) for one in shown],
        kinds=_test_kinds(runs, [one.evidence for one in shown]),
        missing=[one.evidence.missing if one.evidence else {} for one in shown],
        settings=compare(runs),
        timings=[_timings(run) for run in runs],
    )


def _environment() -> Environment:
    environment = Environment(
        loader=FileSystemLoader(_HERE / "templates"),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=StrictUndefined,
    )
    environment.filters |= {"percent": _percent, "figure": _figure, "count": _count, "duration": _duration}
    return environment


def _owners(runs: Sequence[RunRecord], run_groups: Sequence[Group]) -> list[dict[str, Any]]:
    """The owners of the curves' lines: every run, and every group; a group has the color of its first run."""
    owners = [("runs", f"run-{place}", run.name, place, 1) for place, run in enumerate(runs)]
    for place, group in enumerate(run_groups):
        first, num = group.members[0], len(group.members)
        single = num == 1
        name = runs[first].name if single else f"{group.name}: {num} runs"
        owners.append(("groups", f"run-{first}" if single else f"group-{place}", name, first, num))
    return [
        {"view": view, "id": owner, "name": name, "color": of % _COLORS, "dash": of // _COLORS % 3, "runs": num}
        for view, owner, name, of, num in owners
    ]


def _overview(index: int, one: ShownRun) -> dict[str, Any]:
    run = one.run
    error = run.last.get(f"{run.test_kind}/error") if run.learned_classes else None
    wrong = run.last.get(f"{run.test_kind}/num_errors") if error is not None else None
    images = _num_test_images(run)
    return {
        "place": index,
        "recipe": run.settings.get("recipe", ""),
        "labels": run.num_labels,
        "epoch": run.epoch,
        "epochs": run.epochs,
        "state": "finished" if run.finished else ("not finished" if run.reports else "no report yet"),
        "error": error,
        "wrong": wrong,
        "wrong_without_average": run.last.get(f"{run.test_kind}/num_errors_without_average"),
        "images": images,
        "interval": wilson_interval(wrong, images) if images and wrong is not None else None,
        "kind": run.test_kind,
        "seconds": run.last.get("seconds"),
        "diagnostics": run.diagnostics,
        "damaged": run.damaged_lines,
        "checkpoint": one.evidence.step if one.evidence else None,
    }


def _num_test_images(run: RunRecord) -> int | None:
    """How many images the error was measured on, from the error rate and the number of errors of a log entry."""
    for report in run.reports:
        rate, num_errors = (report.get(f"{run.test_kind}/{name}") for name in ("error", "num_errors"))
        if rate and num_errors:
            num: int = round(num_errors / rate)
            return num
    return None


def _test_kinds(runs: Sequence[RunRecord], evidence: Sequence[Evidence | None]) -> str:
    """On which images the runs' errors were measured: "test", "validation", or both."""
    data = (one.data for one in evidence if one is not None)
    kinds = {run.test_kind for run in runs if run.reports} | {one.test_kind for one in data if one is not None}
    return " and ".join(sorted(kinds)) or "test"


def _timings(run: RunRecord) -> dict[str, Any]:
    """Times of the training steps, without evaluation and checkpoints."""
    seconds, steps = run.last.get("seconds"), run.last.get("step")
    if not seconds or not steps:
        return {"seconds": None}
    batch = run.settings.get("values", {}).get("batch_size")
    left = seconds / run.epoch * max(0, run.epochs - run.epoch) if run.epoch else None
    return {
        "seconds": seconds,
        "steps": steps,
        "step_ms": 1000 * seconds / steps,
        "images": batch * steps / seconds if isinstance(batch, int) else None,
        "epoch_seconds": seconds / run.epoch if run.epoch else None,
        "left": left,
        "precision": run.settings.get("values", {}).get("precision", ""),
    }


def _percent(value: float | None, digits: int = 1) -> str:
    return "–" if value is None or math.isnan(value) else f"{value:.{digits}%}"


def _figure(value: float | None, digits: int = 3) -> str:
    return "–" if value is None or math.isnan(value) else f"{value:.{digits}g}"


def _count(value: int | None) -> str:
    return "–" if value is None else f"{value:,}"


def _duration(seconds: float | None) -> str:
    """In the two largest units.

    >>> _duration(3725), _duration(59.2), _duration(0)
    ('1 h 2 min', '59 s', '0 s')
    """
    if seconds is None:
        return "–"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours} h {minutes} min"
    return f"{minutes} min {rest} s" if minutes else f"{rest} s"
