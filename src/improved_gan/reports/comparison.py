"""Compare the settings of several runs: which settings differ, and which runs differ in their seeds only."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from improved_gan.runs import Run

__all__ = ["Group", "Row", "compare", "flatten", "groups", "named_runs"]

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
        RunError: one of them is no run folder.
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
