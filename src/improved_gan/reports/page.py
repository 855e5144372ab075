"""The report as one HTML file: nothing is loaded from elsewhere, and a content security policy sees to it."""

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
from improved_gan.reports.classification import share_interval
from improved_gan.reports.comparison import Group, compare, groups
from improved_gan.reports.curves import panels
from improved_gan.reports.evaluate_run import Evidence
from improved_gan.reports.run_log import RunRecord
from improved_gan.reports.sample_timeline import flipbook
from improved_gan.reports.sections import classifier_findings, neighbor_findings

__all__ = ["Demo", "render"]

_HERE = Path(__file__).parent
_COLORS = 8


@dataclass(frozen=True)
class Demo:
    """A run and what was found out about it; None where the user asked for the folder's own words only."""

    run: RunRecord
    evidence: Evidence | None


def render(shown: Sequence[Demo], *, title: str, now: datetime) -> str:
    """The page.

    Args:
        shown: at least one run.
        title: its heading.
        now: when it is made.
    """
    runs = [one.run for one in shown]
    together = groups(runs)
    script = (_HERE / "static" / "report.js").read_text()
    charts = panels(runs, together)
    book = flipbook(runs)
    environment = _environment()
    return environment.get_template("report.html").render(
        title=title,
        now=now,
        version=__version__,
        css=Markup((_HERE / "static" / "report.css").read_text()),
        script=Markup(script),
        script_hash=base64.b64encode(hashlib.sha256(script.encode()).digest()).decode(),
        runs=runs,
        owners=_owners(runs, together),
        grouped=any(len(group.members) > 1 for group in together),
        panels=charts,
        curve_data=[panel.as_dict() for panel in charts],
        book=book,
        film_data=book.as_dict(),
        overview=[_overview(place, one) for place, one in enumerate(shown)],
        classifiers=[one.evidence and classifier_findings(one.evidence) for one in shown],
        neighbors=[one.evidence and neighbor_findings(one.evidence) for one in shown],
        kinds=_judged_kinds(runs, [one.evidence for one in shown]),
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


def _owners(runs: Sequence[RunRecord], together: Sequence[Group]) -> list[dict[str, Any]]:
    """Whose lines the curves show, run by run and group by group; a group has the color of its first run."""
    owners = [("runs", f"run-{place}", run.name, place, 1) for place, run in enumerate(runs)]
    for place, group in enumerate(together):
        first, num = group.members[0], len(group.members)
        alone = num == 1
        name = runs[first].name if alone else f"{group.name}: {num} runs"
        owners.append(("groups", f"run-{first}" if alone else f"group-{place}", name, first, num))
    return [
        {"view": view, "id": owner, "name": name, "color": of % _COLORS, "dash": of // _COLORS % 3, "runs": num}
        for view, owner, name, of, num in owners
    ]


def _overview(place: int, one: Demo) -> dict[str, Any]:
    run = one.run
    error = run.last.get(f"{run.test_kind}/error") if run.learnt_classes else None
    wrong = run.last.get(f"{run.test_kind}/num_errors") if error is not None else None
    images = _num_judged(run)
    return {
        "place": place,
        "recipe": run.settings.get("recipe", ""),
        "labels": run.num_labels,
        "epoch": run.epoch,
        "epochs": run.epochs,
        "state": "finished" if run.finished else ("not finished" if run.reports else "no report yet"),
        "error": error,
        "wrong": wrong,
        "images": images,
        "interval": share_interval(wrong, images) if images and wrong is not None else None,
        "kind": run.test_kind,
        "seconds": run.last.get("seconds"),
        "diagnostics": run.diagnostics,
        "damaged": run.damaged_lines,
        "checkpoint": one.evidence.step if one.evidence else None,
    }


def _num_judged(run: RunRecord) -> int | None:
    """How many images the error was measured on: a report of the log holds how many are wrong, and their share."""
    for report in run.reports:
        error, wrong = (report.get(f"{run.test_kind}/{name}") for name in ("error", "wrong"))
        if error and wrong:
            num: int = round(wrong / error)
            return num
    return None


def _judged_kinds(runs: Sequence[RunRecord], evidence: Sequence[Evidence | None]) -> str:
    """What the runs' errors were measured on: "test", "validation", or both."""
    data = (one.data for one in evidence if one is not None)
    told = {run.test_kind for run in runs if run.reports} | {one.test_kind for one in data if one is not None}
    return " and ".join(sorted(told)) or "test"


def _timings(run: RunRecord) -> dict[str, Any]:
    """Of the training steps alone, without evaluation and saving."""
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
