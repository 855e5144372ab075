"""One ONNX file from three: images prepared, the user's ONNX network, the classifier of a run on embeddings.

Of the user's network only what leads to the features is kept. Its operators are brought to the version (opset) of the
classifier's by the converter of the package onnx.
"""

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from improved_gan.export.errors import ExportError
from improved_gan.metrics.network import OnnxFile
from improved_gan.optional_import import optional_import

__all__ = ["OnnxBackbone", "joined"]

_LARGEST = 2**31  # bytes of one ONNX file


@dataclass(frozen=True)
class OnnxBackbone:
    """A pretrained network in an ONNX file.

    Attributes:
        file: the file.
        channels_last: whether the exported file takes images (N, H, W, C), else (N, C, H, W).
    """

    file: OnnxFile
    channels_last: bool

    def features(self, images: Tensor) -> Tensor:
        """What the network gives for images of the exported file: (N, A), or (N, A, 1, 1)."""
        return self.file.run(images.permute(0, 3, 1, 2) if self.channels_last else images)


class _Prepare(nn.Module):
    """Images of the exported file -> the network's input."""

    def __init__(self, backbone: OnnxBackbone) -> None:
        super().__init__()
        self.prepare, self.channels_last = backbone.file.prepare, backbone.channels_last

    def forward(self, images: Tensor) -> Tensor:
        prepared: Tensor = self.prepare(images.permute(0, 3, 1, 2) if self.channels_last else images)
        return prepared


def joined(backbone: OnnxBackbone, classifier: Any, images: Tensor, *, name: str) -> Any:
    """The model of images -> the classifier's outputs.

    Args:
        backbone: the network between.
        classifier: an ONNX model of one input, the features.
        images: some images, to trace `prepare` with.
        name: of the input.

    Raises:
        ExportError: operators that cannot be converted, or a model of more than 2 GB.
    """
    onnx, file = optional_import("onnx"), backbone.file
    traced = torch.onnx.export(
        _Prepare(backbone), (images,), dynamo=True, input_names=[name], output_names=["prepared"], verbose=False,
        dynamic_shapes=({0: torch.export.Dim.DYNAMIC},),
    )  # fmt: skip
    assert traced is not None
    try:
        first, middle = traced.model_proto, _network(onnx, file, classifier)
        parts = [onnx.compose.add_prefix(first, "images/", rename_inputs=False), middle, classifier]
        for part in parts:
            del part.graph.value_info[:]  # each with names of its own for the number of rows
            part.ir_version = max(one.ir_version for one in parts)
        both = onnx.compose.merge_models(
            parts[0], middle, [("images/prepared", f"network/{file.taken}")], outputs=[f"network/{file.given}"]
        )
        link = [(f"network/{file.given}", classifier.graph.input[0].name)]
        whole = onnx.compose.merge_models(both, classifier, link)
    except Exception as error:  # of the converter and the checker, each of its own kind
        reason = " ".join(str(error).split())[:300]
        raise ExportError(
            f"{file.path} cannot be joined with the classifier ({reason}): use improved-gan classify, or export "
            "the network again with a newer opset"
        ) from error
    if whole.ByteSize() >= _LARGEST:
        raise ExportError(f"{file.path} with the classifier has more than 2 GB, the most that an ONNX file holds")
    return whole


def _network(onnx: Any, file: OnnxFile, classifier: Any) -> Any:
    """The user's network up to the features, names with a prefix, operators of the classifier's version."""
    model = onnx.load(str(file.path))
    wanted, has = (_opset(one) for one in (classifier, model))
    if has != wanted:
        model = onnx.version_converter.convert_version(model, wanted)
    model = onnx.utils.Extractor(model).extract_model([file.taken], [file.given])
    return onnx.compose.add_prefix(model, "network/")


def _opset(model: Any) -> int:
    return int(next(one.version for one in model.opset_import if one.domain in ("", "ai.onnx")))
