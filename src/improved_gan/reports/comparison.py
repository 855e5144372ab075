"""Compare the settings of several runs: which settings differ, and which runs differ in their seeds only.

Curves of their logs: one panel for each quantity, with each run, and each group as mean and range.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, NamedTuple

from improved_gan.reproduction.table_formats import curve
from improved_gan.runs import Run

__all__ = ["Group", "Line", "Panel", "Row", "compare", "flatten", "groups", "named_runs", "panels"]


# The hash identifies the long lists; the recipe's name is in the overview.
_LEFT_OUT = ("label_split.indices", "label_split.labels", "values.name")
_SEEDS = ("seed", "label_split.seed", "label_split.sha256")


@dataclass(frozen=True)
class Row:
    """One setting: its name, its value in each run ("" if it is absent), and whether the values differ."""

    name: str
    values: tuple[str, ...]
    differs: bool


@dataclass(frozen=True)
class Group:
    """Runs that differ in their seeds only, by their indices among all runs."""

    name: str
    members: tuple[int, ...]


def compare(runs: Sequence[Run]) -> list[Row]:
    """Every setting of any of the runs, in the order of the first that has it."""
    flat = [flatten(run.settings) for run in runs]
    names = dict.fromkeys(name for settings in flat for name in settings)
    rows = []
    for name in names:
        values = tuple(settings.get(name, "") for settings in flat)
        rows.append(Row(name, values, len(set(values)) > 1))
    return rows


def groups(runs: Sequence[Run]) -> list[Group]:
    """The runs in groups of equal settings, in order of their first members."""
    members: dict[tuple[tuple[str, str], ...], list[int]] = {}
    for place, run in enumerate(runs):
        settings = flatten(run.settings)
        members.setdefault(tuple(one for one in settings.items() if one[0] not in _SEEDS), []).append(place)
    names = [_group_name(runs[places[0]]) for places in members.values()]
    return [
        Group(name if names.count(name) == 1 else f"{name} ({runs[places[0]].name} ...)", tuple(places))
        for name, places in zip(names, members.values(), strict=True)
    ]


def flatten(settings: Mapping[str, Any]) -> dict[str, str]:
    """Nested settings as text by dotted name, without the long lists of a label split.

    >>> flatten({"values": {"generator": {"call": "a.B", "hidden": [5, 6]}, "note": None}, "seed": 1})
    {'generator.call': 'a.B', 'generator.hidden': '5, 6', 'note': 'none', 'seed': '1'}
    """
    flat: dict[str, str] = {}
    _enter(flat, "", settings)
    return {name.removeprefix("values."): text for name, text in flat.items() if name not in _LEFT_OUT}


def _enter(flat: dict[str, str], name: str, value: Any) -> None:
    if isinstance(value, Mapping):
        for key, one in value.items():
            _enter(flat, f"{name}.{key}" if name else str(key), one)
    elif isinstance(value, list) and any(isinstance(one, (Mapping, list)) for one in value):
        for place, one in enumerate(value):
            _enter(flat, f"{name}.{place}", one)
    elif isinstance(value, list):
        flat[name] = ", ".join(_text(one) for one in value)
    else:
        flat[name] = _text(value)


def _text(value: Any) -> str:
    if value is None or isinstance(value, bool):
        return {None: "none", True: "yes", False: "no"}[value]
    return str(value)


def named_runs(paths: Sequence[Path]) -> list[Run]:
    """Several runs, named by the shortest end of their paths that is unique; the same folder counts once.

    Raises:
        RunError: one of them is not a run folder.
    """
    folders = list(dict.fromkeys(path.resolve() for path in paths))
    shown = {path.resolve(): path for path in reversed(paths)}
    for depth in range(1, 1 + max(len(folder.parts) for folder in folders)):
        names = ["/".join(folder.parts[-depth:]) for folder in folders]
        if len(set(names)) == len(folders):
            break
    runs = [Run(shown[folder], name=name) for folder, name in zip(folders, names, strict=True)]
    for run in runs:
        run.settings  # noqa: B018 (raises if it is no run)
    return runs


def _group_name(run: Run) -> str:
    labels = f", {run.num_labels} labels" if run.num_labels else ""
    return f"{run.settings.get('recipe', run.name)}{labels}"


Log = Sequence[Mapping[str, Any]]
_RATE = "rate/seconds_per_epoch"
_LOG_RANGE = 20.0  # above this ratio of largest to smallest value, the axis is logarithmic


class _Kind(NamedTuple):
    """Log entries that share a panel."""

    title: str
    unit: str
    factor: float
    entries: dict[str, str]  # log key -> name of its line in the panel


_KINDS = (
    _Kind("Test error", "%", 100.0,
          {"test/error": "averaged weights", "test/error_without_average": "current weights"}),
    _Kind("Validation error", "%", 100.0,
          {"validation/error": "averaged weights", "validation/error_without_average": "current weights"}),
    _Kind("Error on labeled training images", "%", 100.0, {"discriminator/labeled_error": ""}),
    _Kind("Discriminator: loss on labeled images", "nats", 1.0, {"discriminator/supervised": ""}),
    _Kind("Discriminator: unsupervised loss, weighted", "nats", 1.0, {"discriminator/unsupervised": ""}),
    _Kind("Adversarial losses", "nats", 1.0,
          {"discriminator/adversarial": "discriminator", "generator/adversarial": "generator"}),
    _Kind("Generator: distance of mean features", "", 1.0, {"generator/feature_matching": ""}),
    _Kind("Discriminator: probability of being real", "%", 100.0,
          {"discriminator/real_probability": "real images", "discriminator/generated_probability": "generated"}),
    _Kind("Diversity: mean standard deviation of a pixel", "0 to 1", 1.0,
          {"images/real_pixel_std": "real images", "images/generated_pixel_std": "generated"}),
)  # fmt: skip
_LAST_KINDS = (
    _Kind("Learning rate", "", 1.0, {"learning_rate": ""}),
    _Kind("Seconds per epoch, training steps only", "s", 1.0, {_RATE: ""}),
)
_NOT_DRAWN = {  # the error rate shows it
    f"{kind}/num_errors{which}" for kind in ("test", "validation") for which in ("", "_without_average")
}
_CLASSIFIER = ("test/", "validation/")


@dataclass(frozen=True)
class Line:
    """One line of a panel.

    Args:
        owner: "run-0" or "group-0", by index.
        name: distinguishes it from the owner's other lines in the panel; may be empty.
        epochs, minutes: epochs of its points, and the training time (mean over runs) until then.
        mean, low, high: mean, smallest and largest value over the runs; equal for a single run.
    """

    owner: str
    name: str
    epochs: list[int]
    minutes: list[float]
    mean: list[float]
    low: list[float]
    high: list[float]


@dataclass(frozen=True)
class Panel:
    """One quantity; `logarithmic` is whether its axis is logarithmic."""

    title: str
    unit: str
    logarithmic: bool
    lines: list[Line]

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return asdict(self)


def panels(runs: Sequence[Run], groups: Sequence[Group]) -> list[Panel]:
    """A panel for every quantity in the logs; a group of one run has no line of its own."""
    logs = [_drawn(run) for run in runs]
    owners = {f"run-{index}": [log] for index, log in enumerate(logs)}
    owners |= {
        f"group-{index}": [logs[member] for member in group.members]
        for index, group in enumerate(groups)
        if len(group.members) > 1
    }
    made = [_panel(kind, owners) for kind in (*_KINDS, *_other_kinds(logs), *_LAST_KINDS)]
    return [panel for panel in made if panel.lines]


def _drawn(run: Run) -> Log:
    """The log entries with the seconds per epoch, and without the test error of an untrained classifier."""
    drawn, epoch, seconds = [], 0, 0.0
    for report in run.log.reports:
        kept = {
            name: value for name, value in report.items() if run.log.learned_classes or not name.startswith(_CLASSIFIER)
        }
        now = report.get("seconds", 0.0)
        if now > seconds and report["epoch"] > epoch:
            kept[_RATE] = (now - seconds) / (report["epoch"] - epoch)
        epoch, seconds = report["epoch"], now
        drawn.append(kept)
    return drawn


def _other_kinds(logs: Iterable[Log]) -> list[_Kind]:
    """A panel for each log key that no other panel shows."""
    known = {_RATE, *_NOT_DRAWN} | {entry for kind in (*_KINDS, *_LAST_KINDS) for entry in kind.entries}
    found = dict.fromkeys(
        entry for log in logs for report in log for entry in report if "/" in entry and entry not in known
    )
    return [_Kind(f"{_words(entry)}", "", 1.0, {entry: ""}) for entry in found]


def _words(entry: str) -> str:
    group, _, name = entry.partition("/")
    return f"{group.capitalize()}: {name.replace('_', ' ')}"


def _panel(kind: _Kind, owners: Mapping[str, Sequence[Log]]) -> Panel:
    lines = []
    for entry, name in kind.entries.items():
        for owner, logs in owners.items():
            line = _line(owner, name, entry, logs, kind.factor)
            if line.epochs:  # of a group: at least half of its runs have a value, those without a report counted
                lines.append(line)
    values = [value for line in lines for value in line.mean]
    logarithmic = bool(values) and min(values) > 0 and max(values) / min(values) > _LOG_RANGE
    return Panel(kind.title, kind.unit, logarithmic, lines)


def _line(owner: str, name: str, entry: str, logs: Sequence[Log], factor: float) -> Line:
    epochs, mean, low, high = curve(logs, entry, factor)
    times = dict(zip(*curve(logs, "seconds", 1 / 60)[:2], strict=True))
    rounded = [[float(f"{value:.5g}") for value in values] for values in (mean, low, high)]
    return Line(owner, name, epochs, [round(times.get(epoch, 0.0), 3) for epoch in epochs], *rounded)
