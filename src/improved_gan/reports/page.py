"""The report as one HTML file: nothing is loaded from elsewhere, which a content security policy enforces."""

import base64
import hashlib
import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import torch
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from improved_gan import __version__
from improved_gan.metrics.classification import (
    calibration,
    class_scores,
    confident_mistakes,
    confusion,
    wilson_interval,
)
from improved_gan.reports.comparison import Group, compare, groups, panels
from improved_gan.reports.evaluate_run import Evidence
from improved_gan.reports.image_encoding import data_uri
from improved_gan.reports.samples_over_time import make_timeline
from improved_gan.reports.training_neighbors import compared_size
from improved_gan.runs import Run

__all__ = ["ShownRun", "render"]

_HERE = Path(__file__).parent
_COLORS = 8


@dataclass(frozen=True)
class ShownRun:
    """A run and the results of its networks; None with `--log-only`."""

    run: Run
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


def _owners(runs: Sequence[Run], run_groups: Sequence[Group]) -> list[dict[str, Any]]:
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
    error = run.log.last.get(f"{run.log.test_kind}/error") if run.log.learned_classes else None
    wrong = run.log.last.get(f"{run.log.test_kind}/num_errors") if error is not None else None
    images = _num_test_images(run)
    return {
        "place": index,
        "recipe": run.settings["recipe"],
        "labels": run.num_labels,
        "epoch": run.log.epoch,
        "epochs": run.epochs,
        "state": "finished" if run.finished else ("not finished" if run.log.reports else "no report yet"),
        "error": error,
        "wrong": wrong,
        "wrong_without_average": run.log.last.get(f"{run.log.test_kind}/num_errors_without_average"),
        "images": images,
        "interval": wilson_interval(wrong, images) if images and wrong is not None else None,
        "kind": run.log.test_kind,
        "seconds": run.log.last.get("seconds"),
        "diagnostics": run.log.diagnostics,
        "damaged": run.log.damaged_lines,
        "checkpoint": one.evidence.step if one.evidence else None,
    }


def _num_test_images(run: Run) -> int | None:
    """How many images the error was measured on, from the error rate and the number of errors of a log entry."""
    for report in run.log.reports:
        rate, num_errors = (report.get(f"{run.log.test_kind}/{name}") for name in ("error", "num_errors"))
        if rate and num_errors:
            num: int = round(num_errors / rate)
            return num
    return None


def _test_kinds(runs: Sequence[Run], evidence: Sequence[Evidence | None]) -> str:
    """On which images the runs' errors were measured: "test", "validation", or both."""
    data = (one.data for one in evidence if one is not None)
    kinds = {run.log.test_kind for run in runs if run.log.reports} | {one.test_kind for one in data if one is not None}
    return " and ".join(sorted(kinds)) or "test"


def _timings(run: Run) -> dict[str, Any]:
    """Times of the training steps, without evaluation and checkpoints."""
    seconds, steps = run.log.last.get("seconds"), run.log.last.get("step")
    if not seconds or not steps:
        return {"seconds": None}
    batch = run.settings["values"].get("batch_size")
    left = seconds / run.log.epoch * max(0, run.epochs - run.log.epoch) if run.log.epoch else None
    return {
        "seconds": seconds,
        "steps": steps,
        "step_ms": 1000 * seconds / steps,
        "images": batch * steps / seconds if isinstance(batch, int) else None,
        "epoch_seconds": seconds / run.log.epoch if run.log.epoch else None,
        "left": left,
        "precision": run.precision,
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


_MOST_CLASSES = 25  # of a confusion matrix; above, the most frequent confusions are listed
_MISTAKES, _CONFUSIONS, _SAMPLES = 24, 25, 12


def classifier_findings(evidence: Evidence) -> dict[str, Any] | None:
    """Confusion, mistakes and calibration; None if the run has no classifier."""
    classified, data = evidence.classified, evidence.data
    if classified is None or data is None:
        return None
    probabilities, labels, names = classified.probabilities, classified.images.labels, list(data.class_names)
    predicted = probabilities.argmax(1)
    matrix = confusion(labels, predicted, len(names))
    mistakes = [
        {
            "src": data_uri(classified.shown_images[index]),
            "true": names[labels[index]],
            "given": names[predicted[index]],
            "probability": float(probabilities[index].max()),
            "true_probability": float(probabilities[index, labels[index]]),
        }
        for index in confident_mistakes(probabilities, labels, _MISTAKES).tolist()
    ]
    wrong = int((predicted != labels).sum())
    return {
        "images": len(labels),
        "num_test": classified.num_test,
        "kind": data.test_kind,
        "wrong": wrong,
        "interval": wilson_interval(wrong, len(labels)),
        "names": names,
        "matrix": matrix.tolist() if len(names) <= _MOST_CLASSES else None,
        "confusions": _confusions(matrix, names),
        "scores": class_scores(matrix),
        "mistakes": mistakes,
        "calibration": calibration(probabilities, labels),
    }


def _confusions(matrix: torch.Tensor, names: list[str]) -> list[dict[str, Any]]:
    """The most frequent confusions of two classes, most frequent first."""
    off = matrix.clone().fill_diagonal_(0)
    counts, cells = off.flatten().sort(descending=True, stable=True)
    return [
        {"true": names[cell // len(names)], "given": names[cell % len(names)], "count": count}
        for count, cell in zip(counts[:_CONFUSIONS].tolist(), cells[:_CONFUSIONS].tolist(), strict=True)
        if count
    ]


def neighbor_findings(evidence: Evidence) -> dict[str, Any] | None:
    """Samples with their nearest training images; None if they were not compared."""
    found, data, samples = evidence.copy_check, evidence.data, evidence.samples
    if found is None or data is None or samples is None:
        return None
    order = found.samples.distances[:, 0].argsort(stable=True)  # nearest first, so that copies come first
    shown = torch.cat([order[: _SAMPLES // 2], order[len(order) // 2 :][: _SAMPLES - _SAMPLES // 2]]).tolist()
    shown_images = data.train.images if data.shown_images is None else data.shown_images[0]
    rows = [
        {
            "sample": data_uri(samples[index]) if data.shown_images is None else None,
            "near": [
                {"src": data_uri(shown_images[neighbor]), "distance": distance}
                for neighbor, distance in zip(
                    found.samples.indices[index].tolist(), found.samples.distances[index].tolist(), strict=True
                )
            ],
        }
        for index in shown
    ]
    height, width = compared_size(samples)
    return {
        "rows": rows,
        "embeddings": data.shown_images is not None,
        "samples": len(samples),
        "training": len(data.train),
        "unseen": 0 if found.unseen is None else len(found.unseen.distances),
        "copies": found.copies,
        "near_copy": found.near_copy,
        "near": found.near,
        "median": float(found.samples.distances[:, 0].median()),
        "unseen_median": None if found.unseen is None else float(found.unseen.distances[:, 0].median()),
        "reduced": None if (height, width) == tuple(samples.shape[2:]) else f"{width} x {height}",
    }
