"""The identity of a run: the settings in `recipe.json`, their comparison, and their fingerprint.

Settings are a JSON object:

    recipe, seed, epochs                       name, training seed, length
    values                                     the recipe's settings (`Recipe.as_dict`)
    label_split                                seed, number, positions and hash of the labels
    class_names, image_shape, improved_gan     of the data; version that started the run
    data_sha256, value_range                   of a folder of images
    description                                texts of the recipe, for readers only

All but `description` are the run's identity. Some numbers (`epochs`) may be increased when a run is resumed, if nothing
else depends on them; they are no part of the fingerprint, which binds checkpoints to settings.
"""

import hashlib
import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from improved_gan.recipes.recipe import OVERRIDABLE, Recipe
from improved_gan.training.errors import RunError

__all__ = ["content", "differences", "listed", "missing_settings", "read", "resumed", "with_recorded_settings"]

SCHEMA = 2  # of recipe.json; another number is refused
_DESCRIPTION = "description"


def content(settings: Mapping[str, Any], resumable_fields: Iterable[str], code_sha256: str | None) -> bytes:
    """The content of recipe.json.

    Args:
        settings: of the run.
        resumable_fields: names of numbers that a resume may increase.
        code_sha256: hash of the recipe file that the run is made from; None for a built-in recipe.
    """
    settings, fields = _as_json(settings), list(resumable_fields)
    stored = {
        "schema": SCHEMA,
        "fingerprint": _fingerprint(settings, fields),
        "resumable_fields": fields,
        "settings": settings,
    } | ({} if code_sha256 is None else {"code_sha256": code_sha256})
    return json.dumps(stored, indent=1).encode()


def read(file: Path) -> dict[str, Any]:
    """The content of a recipe.json, checked.

    Raises:
        RunError: it cannot be read, has another schema, or was changed.
    """
    try:
        stored: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
        fingerprint = _fingerprint(stored["settings"], tuple(stored["resumable_fields"]))
    except (OSError, LookupError, TypeError, AttributeError, ValueError, RecursionError) as error:
        problem = f"{type(error).__name__}: {error}"
        raise RunError(f"{file.parent} is not a run folder: recipe.json cannot be read ({problem})") from error
    if stored.get("schema") != SCHEMA:
        raise RunError(
            f"{file} has schema {stored.get('schema')}, this version reads {SCHEMA}: train the run again, or use the "
            "version that made it"
        )
    if stored.get("fingerprint") != fingerprint or not isinstance(stored.get("code_sha256", ""), str):
        raise RunError(f"{file} was changed after the run began: restore it, or start a new run")
    return stored


def differences(
    stored: Mapping[str, Any], now: Mapping[str, Any], *, partly: bool = False, ignored: Iterable[str] = ()
) -> dict[str, Any]:
    """Settings that differ, by dotted name, with the stored values; empty for the same run.

    Args:
        stored: settings of a run.
        now: those to compare it with.
        partly: compare only the settings in `now`, as before the data are loaded.
        ignored: names that are compared elsewhere.

    >>> differences({"seed": 1, "values": {"rate": 0.1}}, {"seed": 1, "values": {"rate": 0.2}})
    {'rate': 0.1}
    """
    there, here = _flat(stored), _flat(_as_json(now))
    compared = (set(here) if partly else {*here, *there}) - set(ignored)
    return {name: there.get(name) for name in sorted(compared) if there.get(name) != here.get(name)}


def listed(different: Mapping[str, Any]) -> str:
    """Differences as the end of a message: names, and the run's values in short."""
    return ", ".join(f"{name}: {_short(value)} there" for name, value in different.items())


def missing_settings(settings: Mapping[str, Any]) -> list[str]:
    """Names of the settings that a run of a recipe needs and that are missing or of the wrong type."""
    return [name for name, fits in _REQUIRED.items() if not fits(settings.get(name))]


def with_recorded_settings(recipe: Recipe, settings: Mapping[str, Any], *, file: Path) -> Recipe:
    """The recipe of a run with what its command line changed.

    Args:
        recipe: by the run's name of it.
        settings: of the run.
        file: recipe.json, for errors.

    Raises:
        RunError: values of another type, or the recipe of that name has other settings than the run.
    """
    values = settings["values"] | {"epochs": settings["epochs"]}
    changes = {name: values[name] for name in OVERRIDABLE if name in values}
    try:
        recipe = replace(recipe, **changes)
    except TypeError as error:  # a value of another kind
        raise RunError(f"{file} does not describe a run ({error}): restore it") from error
    if changed := differences(values, recipe.as_dict(), partly=True):
        raise RunError(
            f"{file.parent} was made with other values of {', '.join(changed)} than recipe {recipe.name} has now"
        )
    return recipe


def resumed(stored: Mapping[str, Any], now: Mapping[str, Any], resumable_fields: Iterable[str]) -> dict[str, Any]:
    """The settings of a run that continues: those stored, with the numbers that it may increase and the texts of now.

    Settings without `differences` may still be written in other ways, 1 for 1.0, or null for one that was missing; the
    checkpoints carry the fingerprint of how they were written first.
    """
    return {**stored, **{key: now[key] for key in (*resumable_fields, _DESCRIPTION) if key in now}}


def _fingerprint(settings: Mapping[str, Any], resumable_fields: Iterable[str]) -> str:
    """SHA-256 of the identity, without the fields that a resume may increase."""
    left_out = {_DESCRIPTION, *resumable_fields}
    fixed = {key: value for key, value in settings.items() if key not in left_out}
    return hashlib.sha256(json.dumps(fixed, sort_keys=True).encode()).hexdigest()


def _as_json(settings: Mapping[str, Any]) -> dict[str, Any]:
    """As they are read again: lists for tuples."""
    result: dict[str, Any] = json.loads(json.dumps(settings))
    return result


def _flat(settings: Mapping[str, Any]) -> dict[str, Any]:
    """On one level, so that a message can name single differences: the recipe's values by their own names."""
    flat: dict[str, Any] = {}
    for key, value in settings.items():
        if key == "values" and isinstance(value, dict):
            flat |= value
        elif key == "label_split" and isinstance(value, dict):
            flat |= {f"{key}.{name}": one for name, one in value.items()}
        elif key != _DESCRIPTION:
            flat[key] = value
    return flat


def _short(value: object) -> str:
    text = value if isinstance(value, str) else json.dumps(value)
    return text if len(text) <= 60 else f"{text[:57]}..."


def _is_number(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _is_split(value: Any) -> bool:
    return isinstance(value, dict) and all(_is_number(value.get(key)) for key in ("seed", "num_labels", "num_images"))


_REQUIRED: dict[str, Callable[[Any], bool]] = {
    "recipe": lambda value: isinstance(value, str),
    "seed": _is_number,
    "epochs": lambda value: _is_number(value) and value > 0,
    "values": lambda value: isinstance(value, dict) and isinstance(value.get("precision"), str),
    "label_split": _is_split,
    "class_names": lambda value: isinstance(value, list) and all(isinstance(one, str) for one in value),
    "image_shape": lambda value: (
        isinstance(value, list) and len(value) == 3 and all(_is_number(one) and 0 < one < 1 << 16 for one in value)
    ),
}
