"""A fitted classifier as a folder: `model.safetensors` for tensors, `config.json` for all else. No code is stored."""

import hashlib
import json
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import safetensors
import safetensors.torch
import torch
from torch import Tensor

from improved_gan import __version__
from improved_gan.estimator.architecture import Architecture
from improved_gan.estimator.ensemble_member import EnsembleMember
from improved_gan.estimator.inputs import InputSpec
from improved_gan.estimator.layout import Layout
from improved_gan.estimator.scaling import ColumnScale, EmbeddingScale, RangeScale, Scale
from improved_gan.io import write_atomically
from improved_gan.training.state import with_prefix

__all__ = ["Stored", "read", "write"]

_KIND = "SemiSupervisedGANClassifier"
_ATTRIBUTES = ("n_iter_", "history_", "warnings_")


class Stored(NamedTuple):
    """What a folder holds."""

    params: dict[str, Any]
    attributes: dict[str, Any]
    spec: InputSpec
    members: list[EnsembleMember]
    trained: frozenset[str]


def write(folder: Path, model: Any) -> None:
    """Write a fitted classifier; each file whole or not at all.

    Raises:
        ValueError: a parameter or class that is no JSON, or a folder that holds something else.
    """
    if folder.exists() and not _is_free(folder):
        raise ValueError(f"{folder} contains other files: give a new folder, or one that save wrote")
    spec = model._format
    tensors: dict[str, Tensor] = {}
    for index, member in enumerate(model.members_):
        tensors |= {f"{index}.{name}": value for name, value in member.tensors.items()}
        tensors |= {f"{index}.state.{name}": value for name, value in (member.state or {}).items()}
    if isinstance(spec.scale, (ColumnScale, EmbeddingScale)):
        columns = spec.scale.columns if isinstance(spec.scale, EmbeddingScale) else spec.scale
        scale: dict[str, Any] = {"kind": "columns" if columns is spec.scale else "embedding"}
        tensors |= {"scale.mean": torch.tensor(columns.mean), "scale.std": torch.tensor(columns.std)}
    else:
        scale = {"kind": "range", "low": spec.scale.low, "high": spec.scale.high, "checked": spec.scale.checked}
    tensors["flat_rows"] = torch.tensor(spec.flat_rows)
    content = safetensors.torch.save({name: value.contiguous() for name, value in tensors.items()})
    config = {
        "kind": _KIND,
        "improved_gan": __version__,
        "tensors_sha256": hashlib.sha256(content).hexdigest(),
        "params": _without_dict(model.get_params(deep=False)),
        "classes": {"dtype": model.classes_.dtype.str, "values": model.classes_.tolist()},
        "attributes": {name: getattr(model, name) for name in _ATTRIBUTES},
        "features": {name: getattr(model, name) for name in ("n_features_in_",) if hasattr(model, name)},
        "feature_names": getattr(model, "feature_names_in_", np.array([], dtype=object)).tolist(),
        "input": {"axes": spec.layout.axes, "shape": spec.layout.shape, "dtype": spec.dtype.str, "scale": scale},
        "members": [member.choice.as_dict() for member in model.members_],
        "trained": sorted(model._trained),
    }
    text = json.dumps(config, indent=1, default=_plain)
    folder.mkdir(parents=True, exist_ok=True)
    write_atomically(folder / "config.json", text.encode())
    write_atomically(folder / "model.safetensors", content)


def read(folder: Path) -> Stored:
    """What `write` wrote.

    Raises:
        ValueError: files that are missing, damaged or of another kind.
    """
    config = _read_config(folder)
    try:
        content = (folder / "model.safetensors").read_bytes()
        tensors: dict[str, Tensor] = safetensors.torch.load(content)
    except (OSError, safetensors.SafetensorError) as error:
        raise ValueError(f"{folder / 'model.safetensors'} cannot be read ({error}): save the model again") from error
    if config.get("tensors_sha256") != hashlib.sha256(content).hexdigest():
        raise ValueError(
            f"{folder} holds a config.json and a model.safetensors that were not saved together, as after a save that "
            "was stopped: save the model again"
        )
    try:
        return _rebuilt(config, tensors)
    except (KeyError, TypeError, ValueError) as error:
        raise ValueError(
            f"{folder} was written by improved-gan {config.get('improved_gan')} and does not fit "
            f"version {__version__}, or is damaged: {error}"
        ) from error


def _without_dict(params: dict[str, Any]) -> dict[str, Any]:
    """Weights by class as pairs: the keys of a JSON object would all become text."""
    weights = params["class_weight"]
    return {**params, "class_weight": list(map(list, weights.items())) if isinstance(weights, dict) else weights}


def _with_dict(params: dict[str, Any]) -> dict[str, Any]:
    weights = params["class_weight"]
    return {**params, "class_weight": dict(weights) if isinstance(weights, list) else weights}


def _is_free(folder: Path) -> bool:
    """Whether it is an empty folder, or one that `write` has written."""
    if not folder.is_dir():
        return False
    try:
        return not any(folder.iterdir()) or bool(_read_config(folder))
    except ValueError:
        return False


def _read_config(folder: Path) -> dict[str, Any]:
    path = folder / "config.json"
    try:
        config = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ValueError(f"{path} cannot be read ({error}): give a folder that save wrote") from error
    if not isinstance(config, dict) or config.get("kind") != _KIND:
        raise ValueError(f"{path} describes no {_KIND}: give a folder that save wrote")
    return config


def _rebuilt(config: dict[str, Any], tensors: dict[str, Tensor]) -> Stored:
    entry = config["input"]
    if entry["scale"]["kind"] in ("columns", "embedding"):
        columns = ColumnScale(tensors["scale.mean"].numpy(), tensors["scale.std"].numpy())
        scale: Scale = columns if entry["scale"]["kind"] == "columns" else EmbeddingScale(columns)
    else:
        scale = RangeScale(*(entry["scale"][name] for name in ("low", "high", "checked")))
    layout = Layout(entry["axes"], tuple(entry["shape"]))
    spec = InputSpec(layout, scale, np.dtype(entry["dtype"]), tensors["flat_rows"].numpy())
    device = "cuda" if torch.cuda.is_available() and config["params"]["device"] != "cpu" else "cpu"
    members = []
    for index, choice in enumerate(config["members"]):
        own = with_prefix(tensors, str(index))
        state = with_prefix(own, "state") or None
        networks = {name: value for name, value in own.items() if not name.startswith("state.")}
        members.append(EnsembleMember(Architecture.from_dict(choice), networks, state, device))
    classes = np.array(config["classes"]["values"], dtype=np.dtype(config["classes"]["dtype"]))
    attributes = {"classes_": classes, **config["attributes"], **config["features"]}
    if config["feature_names"]:
        attributes["feature_names_in_"] = np.array(config["feature_names"], dtype=object)
    params = _with_dict(config["params"])
    if isinstance(params["value_range"], list):
        params["value_range"] = tuple(params["value_range"])
    return Stored(params, attributes, spec, members, frozenset(config["trained"]))


def _plain(value: Any) -> Any:
    """NumPy's numbers and arrays as JSON; a random state has no JSON."""
    if isinstance(value, (np.generic, np.ndarray)):
        return value.tolist()
    if isinstance(value, (np.random.RandomState, np.random.Generator)):
        raise ValueError(
            f"random_state={value} cannot be saved as JSON: set_params(random_state=...) to a number or None"
        )
    raise ValueError(f"{value!r} cannot be saved as JSON: set the parameter to plain numbers, text or lists first")
