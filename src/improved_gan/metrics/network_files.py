"""A network in one file, of any library: ONNX (by onnxruntime), or a program of `torch.export` (.pt2).

It takes images (N, C, H, W) or (N, H, W, C): uint8, or floating point with the mean and standard deviation of a
configuration beside the file (`read_preprocessing`). It gives features (N, A), logits (N, K) or both: by the names of
the outputs, or in this order. A single output whose name is not that of features stands for both.
"""

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from improved_gan.metrics.errors import MetricError
from improved_gan.metrics.feature_cache import CHUNK
from improved_gan.metrics.float32 import full_float32
from improved_gan.metrics.inception import Outputs
from improved_gan.metrics.network import OnnxFile, ScoringNetwork, check_logits
from improved_gan.metrics.onnx_session import onnx_session
from improved_gan.metrics.preprocessing import Preprocessing, read_preprocessing

__all__ = ["file_network"]

_FEATURES = ("features", "embedding", "embeddings", "image_embeds", "pooler_output")
_LOGITS = ("logits", "output", "scores")
_REMEDY = "export the network without its softmax, or its features"


@dataclass(frozen=True)
class _Program:
    """A file that was opened: its input, and what runs it."""

    shape: tuple[int | None, ...]  # of the input; None: any number
    is_float: bool
    names: tuple[str, ...]  # of the outputs; none where they have none
    run: Callable[[Tensor], Sequence[Tensor]]
    module: torch.nn.Module | None = None
    taken: str = ""  # the name of the input, in ONNX
    dtype: torch.dtype = torch.float32


class _Prepare(torch.nn.Module):
    """(N, C, H, W) uint8 -> what the network takes."""

    def __init__(self, preprocessing: Preprocessing, dtype: torch.dtype, *, last: bool) -> None:
        super().__init__()
        self.preprocessing, self.dtype, self.last = preprocessing, dtype, last

    def forward(self, images: Tensor) -> Tensor:
        values = self.preprocessing.normalize(images).to(self.dtype)
        return values.permute(0, 2, 3, 1).contiguous() if self.last else values


def file_network(path: Path, *, device: str = "cpu") -> ScoringNetwork:
    """The network in an .onnx or .pt2 file.

    Raises:
        MetricError: onnxruntime is missing, the file cannot be read, it does not say how images are prepared, or its
            outputs are no features (N, A).
    """
    if not path.is_file():
        raise MetricError(f"there is no network {path}")
    program = _onnx(path) if path.suffix.lower() == ".onnx" else _exported(path, device)
    if len(program.shape) != 4 or not ({1, 3} & {program.shape[1], program.shape[3]}):
        raise MetricError(f"{path} must take images (N, 3, H, W) or (N, H, W, 3); its input is {program.shape}")
    last = program.shape[1] not in (1, 3)
    preprocessing = _preprocessing(path, program, last=last)
    names, digest = program.names, _digest(path)
    prepare = _Prepare(preprocessing, program.dtype, last=last)

    @full_float32()
    @torch.no_grad()
    def run(images: Tensor) -> Outputs:
        values = prepare(images)
        try:
            found = _in_batches(program, values)
        except Exception as error:  # of the runtime: a shape or type that it cannot take
            raise MetricError(f"{path} fails on images {tuple(values.shape)}: {_line(error)}") from error
        return _outputs(path, found, names)

    network = ScoringNetwork(
        str(path), digest, preprocessing.channels, None, preprocessing.describe(), "float32", preprocessing.prepare,
        run, module=program.module, input_size=preprocessing.size,
    )  # fmt: skip
    return replace(_probed(network, preprocessing), onnx=_onnx_file(path, program, prepare))


def _onnx_file(path: Path, program: _Program, prepare: _Prepare) -> OnnxFile | None:
    """None for other formats, and for a fixed number of images."""
    if not program.taken or program.shape[0] is not None:
        return None
    height, width = prepare.preprocessing.size

    def run(images: Tensor) -> Tensor:
        found = program.run(prepare(images))
        return _named(found, program.names)[_features_name(path, found, program.names)]

    noise = torch.zeros(1, prepare.preprocessing.channels, height, width, dtype=torch.uint8)
    given = _features_name(path, program.run(prepare(noise)), program.names)
    return OnnxFile(path, program.taken, given, prepare, run)


def _probed(network: ScoringNetwork, preprocessing: Preprocessing) -> ScoringNetwork:
    """After a look at its outputs for noise."""
    shape = (CHUNK, preprocessing.channels, *preprocessing.size)
    noise = torch.from_numpy(np.random.RandomState(0).randint(0, 256, shape).astype(np.uint8))
    outputs = network.run(noise)
    check_logits(outputs.logits, network.name, remedy=_REMEDY)
    check_logits(outputs.features, network.name, remedy=_REMEDY)
    values = {**vars(network), "has_logits": outputs.logits.shape[1] > 0}
    return ScoringNetwork(**values)


def _preprocessing(path: Path, program: _Program, *, last: bool) -> Preprocessing:
    channels, height, width = program.shape[1:] if not last else (program.shape[3], *program.shape[1:3])
    assert channels is not None
    known = read_preprocessing(path)
    if known is None and (program.is_float or height is None or width is None):
        raise MetricError(
            f"{path} does not say how images are prepared: put the network's preprocessor_config.json (transformers) "
            "or config.json (timm) beside it"
        )
    if known is None:
        assert height is not None
        assert width is not None
        return Preprocessing((height, width), (height, width), channels=channels)
    if (height or known.size[0], width or known.size[1]) != known.size or channels != known.channels:
        raise MetricError(
            f"{path} takes {channels} x {height} x {width}, but the configuration beside it prepares "
            f"{known.channels} x {known.size[0]} x {known.size[1]}"
        )
    if program.is_float:
        return known
    return Preprocessing(known.size, known.resize, interpolation=known.interpolation, channels=channels)


def _in_batches(program: _Program, values: Tensor) -> list[Tensor]:
    """All rows at once, or as many as the program was made for."""
    rows = program.shape[0]
    if rows is None:
        return list(program.run(values))
    parts = []
    for part in torch.split(values, rows):
        filled = torch.cat([part, part[-1:].expand(rows - len(part), *part.shape[1:])])
        parts.append([one[: len(part)] for one in program.run(filled)])
    return [torch.cat(one) for one in zip(*parts, strict=True)]


def _outputs(path: Path, found: Sequence[Tensor], names: tuple[str, ...]) -> Outputs:
    given = _features_name(path, found, names)
    rows = {name: one.flatten(1).float() for name, one in _named(found, names).items() if _is_table(one)}
    features = rows[given]
    logits = next((rows[name] for name in _LOGITS if name in rows), None)
    if given not in _FEATURES and logits is None:
        left = list(rows.values())
        logits = left[min(1, len(left) - 1)]
    return Outputs(features, features[:, :0] if logits is None else logits)


def _features_name(path: Path, found: Sequence[Tensor], names: tuple[str, ...]) -> str:
    """Of the output with the features: by its name, else the first that is a table."""
    tables = [name for name, one in _named(found, names).items() if _is_table(one)]
    if not tables:
        shapes = ", ".join(str(tuple(one.shape)) for one in found)
        raise MetricError(f"{path} must give features (N, A), one row an image; its outputs are {shapes}")
    return next((name for name in _FEATURES if name in tables), tables[0])


def _named(found: Sequence[Tensor], names: tuple[str, ...]) -> dict[str, Tensor]:
    return dict(zip(names or map(str, range(len(found))), found, strict=False))


def _is_table(one: Tensor) -> bool:
    return one.dim() >= 2 and all(size == 1 for size in one.shape[2:]) and one.is_floating_point()


def _onnx(path: Path) -> _Program:
    try:
        session = onnx_session(path)
    except ModuleNotFoundError as error:
        raise MetricError(f"{path} needs onnxruntime: pip install 'improved-gan[export]'") from error
    except Exception as error:
        raise MetricError(f"{path} cannot be read as ONNX: {_line(error)}") from error
    inputs = session.get_inputs()
    if len(inputs) != 1:
        raise MetricError(f"{path} must take images only; it takes {', '.join(one.name for one in inputs)}")
    kinds = {"tensor(float)": torch.float32, "tensor(float16)": torch.float16, "tensor(uint8)": torch.uint8}
    kind = kinds.get(inputs[0].type)
    if kind is None:
        raise MetricError(f"{path} must take uint8 or floating point; it takes {inputs[0].type}")

    def run(rows: Tensor) -> list[Tensor]:
        answers = session.run(None, {inputs[0].name: rows.to(kind).numpy()})
        return [torch.from_numpy(np.asarray(one)) for one in answers]

    shape = tuple(one if isinstance(one, int) and one > 0 else None for one in inputs[0].shape)
    names = tuple(one.name for one in session.get_outputs())
    return _Program(shape, kind != torch.uint8, names, run, taken=inputs[0].name, dtype=kind)


def _exported(path: Path, device: str) -> _Program:
    try:
        program = torch.export.load(path)
        if device != "cpu":
            from torch.export.passes import move_to_device_pass

            program = move_to_device_pass(program, device)
        module: Any = program.module()
    except Exception as error:
        raise MetricError(f"{path} cannot be read as a program of torch.export: {_line(error)}") from error
    taken = set(program.graph_signature.user_inputs)
    inputs = [node.meta["val"] for node in program.graph.nodes if node.op == "placeholder" and node.name in taken]
    if len(inputs) != 1:
        raise MetricError(f"{path} must take images only; it takes {len(inputs)} inputs")

    def run(rows: Tensor) -> list[Tensor]:
        answer = module(rows.to(device=device, dtype=inputs[0].dtype))
        return [one.cpu() for one in (answer if isinstance(answer, (tuple, list)) else (answer,))]

    shape = tuple(one if isinstance(one, int) else None for one in inputs[0].shape)
    return _Program(shape, inputs[0].is_floating_point(), (), run, module, dtype=inputs[0].dtype)


def _digest(path: Path) -> str:
    """Of the file, and of the tensors that ONNX keeps beside it."""
    digest = hashlib.sha256()
    for file in (path, *sorted(path.parent.glob(f"{path.name}?data"))):
        with file.open("rb") as opened:
            digest.update(hashlib.file_digest(opened, "sha256").digest())
    return digest.hexdigest()


def _line(error: Exception) -> str:
    return f"{type(error).__name__}: {' '.join(str(error).split())[:200]}"
