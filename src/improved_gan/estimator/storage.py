"""A fitted classifier as a folder: `model.safetensors` for tensors, `config.json` for all else. No code is stored.

An ensemble consists of trained pairs of networks (`EnsembleMember`), which pickle as arrays and are rebuilt from them.
"""

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
from improved_gan.estimator.inputs import InputSpec
from improved_gan.estimator.layout import Layout
from improved_gan.estimator.scaling import ColumnScale, EmbeddingScale, RangeScale, Scale
from improved_gan.io import write_atomically
from improved_gan.networks.interface import evaluation_batch_size, generate_in_batches
from improved_gan.training.state import with_prefix

__all__ = ["EnsembleMember", "Prediction", "Stored", "read", "write"]


class Prediction(NamedTuple):
    """The outputs of a member for N examples, in float64."""

    log_probabilities: np.ndarray  # (N, K)
    real_score: np.ndarray  # (N,) log D/(1 - D)
    features: np.ndarray  # (N, A)


class EnsembleMember:
    """A generator, unless no GAN was trained, and a classifier with averaged weights, both in evaluation mode.

    A dense classifier computes in float64 on a CPU, so that the output for a row does not depend on the other rows of
    its batch; a convolutional one, and all on a GPU, in float32.

    Args:
        choice: how the networks are built.
        tensors: their float32 values, under `generator.` and `classifier.`.
        state: all that is needed to train on (`TrainingState.tensors`); None where that is not wanted.
        device: where to compute predictions.

    Raises:
        ValueError: tensors of other networks.
    """

    def __init__(
        self,
        choice: Architecture,
        tensors: dict[str, Tensor],
        state: dict[str, Tensor] | None = None,
        device: str = "cpu",
    ) -> None:
        self.choice, self.tensors, self.state, self.device = choice, tensors, state, device
        precise = choice.network == "dense" and not device.startswith("cuda")
        self._precision = torch.float64 if precise else torch.float32
        with torch.device("meta"):  # nothing is drawn, so the global random state stays as it is
            self._classifier = choice.build_discriminator()
            self._generator = choice.build_generator() if with_prefix(tensors, "generator") else None
        try:
            if self._generator is not None:
                self._generator.load_state_dict(with_prefix(tensors, "generator"), assign=True)
            self._classifier.load_state_dict(with_prefix(tensors, "classifier"), assign=True)
        except RuntimeError as error:
            raise ValueError(f"these weights are not those of a {choice.describe()}: {error}") from error
        if self._generator is not None:
            self._generator.eval().requires_grad_(False)
        self._classifier.eval().requires_grad_(False).to(device, self._precision)

    @torch.no_grad()
    def predict(self, images: Tensor) -> Prediction:
        """Predictions for images (N, C, H, W) in [0, 1]."""
        pieces = torch.split(images, evaluation_batch_size(self._classifier, images.shape[1:]))
        outputs = [self._classifier(piece.to(self.device, self._precision)) for piece in pieces]
        logits = torch.cat([output.logits.double().cpu() for output in outputs])
        features = torch.cat([output.features.double().cpu() for output in outputs])
        return Prediction(logits.log_softmax(1).numpy(), logits.logsumexp(1).numpy(), features.flatten(1).numpy())

    @property
    def num_features(self) -> int:
        """A, how many features an example has."""
        return int(self.predict(torch.zeros(1, *self.choice.image_shape)).features.shape[1])

    @torch.no_grad()
    def sample(self, num: int, *, seed: int) -> Tensor:
        """(num, C, H, W) float32 in [0, 1], from latents that depend on the seed alone.

        Raises:
            ValueError: no GAN was trained.
        """
        if self._generator is None:
            raise ValueError("unsupervised_weight=0 trains no GAN, so there is no generator to sample from")
        latents = self._generator.draw_latents(num, source=torch.Generator().manual_seed(seed))
        return torch.cat(list(generate_in_batches(self._generator, latents)))

    def __reduce__(self) -> tuple[Any, ...]:
        """As arrays: networks with normalized weights do not pickle."""
        state = None if self.state is None else _arrays(self.state)
        return _unpickled, (self.choice, _arrays(self.tensors), state, self.device)


def _arrays(tensors: dict[str, Tensor]) -> dict[str, np.ndarray]:
    return {name: value.numpy() for name, value in tensors.items()}


def _unpickled(
    choice: Architecture, tensors: dict[str, np.ndarray], state: dict[str, np.ndarray] | None, device: str
) -> EnsembleMember:
    """From arrays, which joblib may have mapped from a file that must not be written; a GPU may be gone meanwhile."""
    if device.startswith("cuda") and not torch.cuda.is_available():
        device = "cpu"
    return EnsembleMember(choice, _tensors(tensors), None if state is None else _tensors(state), device)


def _tensors(arrays: dict[str, np.ndarray]) -> dict[str, Tensor]:
    return {name: torch.from_numpy(np.array(value)) for name, value in arrays.items()}


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
