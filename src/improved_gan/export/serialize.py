"""Write an exported module to a file (.pt2 of torch.export, or ONNX), and compute the outputs of the file.

The file is compared with the original network: on images and noise, in batches of several sizes.
"""

import json
import logging
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from improved_gan.export.errors import ExportError, needs_extra
from improved_gan.export.export_module import ExportSpec
from improved_gan.export.fuse import fold_graph
from improved_gan.export.onnx_backbone import joined
from improved_gan.metrics.onnx_session import onnx_session
from improved_gan.optional_import import optional_import

__all__ = [
    "BATCHES",
    "FORMATS",
    "TOLERANCE",
    "captured",
    "largest_differences",
    "run_onnx",
    "run_torch",
    "write_onnx",
    "write_torch",
]


METADATA_FILE = "improved_gan.json"  # in a .pt2, and as one property of an ONNX file
_FEATURES = "features"  # the input of a classifier after an ONNX network
_EXAMPLES = 3  # rows to trace with: sizes 0 and 1 would be treated as constants


def captured(spec: ExportSpec) -> tuple[torch.export.ExportedProgram, int]:
    """The network as a graph for any number of rows, and the number of batch norms that were folded."""
    rows, name = spec.draw(_EXAMPLES), spec.source.name
    if spec.backbone is not None:
        rows, name = spec.backbone.features(rows), _FEATURES
    with _quiet():
        first = _export(spec.network, rows, name)
        graph = first.module(check_guards=False)
        num_folded = fold_graph(graph)
        return _export(graph, rows, name), num_folded


def _export(network: torch.nn.Module, rows: Tensor, name: str) -> torch.export.ExportedProgram:
    with torch.no_grad():
        return torch.export.export(network, (rows,), dynamic_shapes={name: {0: torch.export.Dim.DYNAMIC}})


def write_torch(
    program: torch.export.ExportedProgram, spec: ExportSpec, metadata: Mapping[str, Any], path: Path
) -> None:
    """Write a .pt2: `torch.export.load(path).module()` runs it, without this package."""
    with _quiet():
        torch.export.save(program, path, extra_files={METADATA_FILE: json.dumps(dict(metadata))})


def run_torch(path: Path) -> Callable[[Tensor], tuple[Tensor, ...]]:
    """A function that runs a .pt2 file."""
    with _quiet():
        module = torch.export.load(path).module()

    def run(rows: Tensor) -> tuple[Tensor, ...]:
        with torch.no_grad():
            return tuple(module(rows))

    return run


def write_onnx(
    program: torch.export.ExportedProgram, spec: ExportSpec, metadata: Mapping[str, Any], path: Path
) -> None:
    """Write an ONNX file with named input and outputs, `batch` rows, and the metadata as properties.

    Raises:
        ExportError: onnx or onnxscript is not installed.
    """
    try:
        onnx = optional_import("onnx")
        optional_import("onnxscript")  # the exporter needs it, and raises a long error without it
    except ModuleNotFoundError as error:
        raise needs_extra(error) from error
    names, taken = [one.name for one in spec.outputs], spec.source.name if spec.backbone is None else _FEATURES
    with _quiet():
        made = torch.onnx.export(program, dynamo=True, input_names=[taken], output_names=names, verbose=False)
        assert made is not None
        model = made.model_proto
        if spec.backbone is not None:
            model = joined(spec.backbone, model, spec.draw(_EXAMPLES), name=spec.source.name)
    _name_the_batch(model.graph)
    model.producer_name, model.producer_version = "improved-gan", str(metadata["versions"]["improved-gan"])
    onnx.helper.set_model_props(model, {key: json.dumps(value) for key, value in metadata.items()})
    onnx.checker.check_model(model)
    onnx.save(model, str(path))


def _name_the_batch(graph: Any) -> None:
    """Rename the batch dimension, which the exporter calls s77 or the like: a name for each network."""
    symbols = {value.type.tensor_type.shape.dim[0].dim_param for value in (*graph.input, *graph.output)}
    for value in (*graph.input, *graph.output, *graph.value_info):
        for dimension in value.type.tensor_type.shape.dim:
            if dimension.dim_param in symbols - {""}:
                dimension.dim_param = "batch"


def run_onnx(path: Path) -> Callable[[Tensor], tuple[Tensor, ...]]:
    """A function that runs an ONNX file with onnxruntime, on the CPU.

    Raises:
        ExportError: onnxruntime is not installed.
    """
    try:
        session = onnx_session(path)
    except ModuleNotFoundError as error:
        raise needs_extra(error) from error
    name = session.get_inputs()[0].name

    def run(rows: Tensor) -> tuple[Tensor, ...]:
        return tuple(torch.from_numpy(answer) for answer in session.run(None, {name: rows.numpy()}))

    return run


@contextmanager
def _quiet() -> Iterator[None]:
    """Silence warnings of the exporters about their internals and torchvision, which is not needed."""
    logger = logging.getLogger("torch.onnx")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(level)


FORMATS = {"onnx": (".onnx", write_onnx, run_onnx), "torch": (".pt2", write_torch, run_torch)}


TOLERANCE = 1e-5  # relative to max(1, largest absolute output)
BATCHES = (1, 2, 7, 64)


def largest_differences(spec: ExportSpec, run_file: Callable[[Tensor], tuple[Tensor, ...]]) -> dict[str, float]:
    """The largest difference between the file and the original network, for each output.

    Args:
        spec: the exported network.
        run_file: computes the file's outputs for rows of input.

    Raises:
        ExportError: a difference above 1e-5 (relative to the largest output, if that is above 1), or another shape.
    """
    found = {facts.name: 0.0 for facts in spec.outputs}
    for num in BATCHES:
        rows = spec.draw(num)
        for facts, ours, theirs in zip(spec.outputs, spec.expected(rows), run_file(rows), strict=True):
            if ours.shape != theirs.shape:
                raise ExportError(f"{facts.name} of {num} rows came as {tuple(theirs.shape)}, not {tuple(ours.shape)}")
            scale = max(1.0, ours.abs().max().item())
            difference = (ours.double() - theirs.double()).abs().max().item() / scale
            found[facts.name] = max(found[facts.name], difference if torch.isfinite(theirs).all() else float("inf"))
    if bad := {name: value for name, value in found.items() if not value <= TOLERANCE}:
        listed = ", ".join(f"{name} by {value:.1e}" for name, value in bad.items())
        raise ExportError(
            f"the outputs of the file differ from the network's ({listed}; tolerance {TOLERANCE:.0e}): not written"
        )
    return found
