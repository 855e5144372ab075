"""The tensors of the 2015 Inception network's weight file: names and shapes, as the reference port's file has them.

The file is `weights-inception-2015-12-05-6726825d.pth`, converted from the TensorFlow graph that the Inception score
was released with; its license is Apache 2.0.
"""

from collections.abc import Mapping

from torch import Tensor

from improved_gan.metrics.errors import MetricError

__all__ = ["BRANCHES", "check_state", "shapes"]

# block -> branch -> (channels in, channels out, kernel height, kernel width); the stem has no block.
_Kernel = tuple[int, int, int, int]


def _block_a(channels: int, pool: int) -> dict[str, _Kernel]:
    return {
        "branch1x1": (channels, 64, 1, 1),
        "branch5x5_1": (channels, 48, 1, 1),
        "branch5x5_2": (48, 64, 5, 5),
        "branch3x3dbl_1": (channels, 64, 1, 1),
        "branch3x3dbl_2": (64, 96, 3, 3),
        "branch3x3dbl_3": (96, 96, 3, 3),
        "branch_pool": (channels, pool, 1, 1),
    }


def _block_c(middle: int) -> dict[str, _Kernel]:
    return {
        "branch1x1": (768, 192, 1, 1),
        "branch7x7_1": (768, middle, 1, 1),
        "branch7x7_2": (middle, middle, 1, 7),
        "branch7x7_3": (middle, 192, 7, 1),
        "branch7x7dbl_1": (768, middle, 1, 1),
        "branch7x7dbl_2": (middle, middle, 7, 1),
        "branch7x7dbl_3": (middle, middle, 1, 7),
        "branch7x7dbl_4": (middle, middle, 7, 1),
        "branch7x7dbl_5": (middle, 192, 1, 7),
        "branch_pool": (768, 192, 1, 1),
    }


def _block_e(channels: int) -> dict[str, _Kernel]:
    return {
        "branch1x1": (channels, 320, 1, 1),
        "branch3x3_1": (channels, 384, 1, 1),
        "branch3x3_2a": (384, 384, 1, 3),
        "branch3x3_2b": (384, 384, 3, 1),
        "branch3x3dbl_1": (channels, 448, 1, 1),
        "branch3x3dbl_2": (448, 384, 3, 3),
        "branch3x3dbl_3a": (384, 384, 1, 3),
        "branch3x3dbl_3b": (384, 384, 3, 1),
        "branch_pool": (channels, 192, 1, 1),
    }


BRANCHES: dict[str, dict[str, _Kernel]] = {
    "": {
        "Conv2d_1a_3x3": (3, 32, 3, 3),
        "Conv2d_2a_3x3": (32, 32, 3, 3),
        "Conv2d_2b_3x3": (32, 64, 3, 3),
        "Conv2d_3b_1x1": (64, 80, 1, 1),
        "Conv2d_4a_3x3": (80, 192, 3, 3),
    },
    "Mixed_5b": _block_a(192, 32),
    "Mixed_5c": _block_a(256, 64),
    "Mixed_5d": _block_a(288, 64),
    "Mixed_6a": {
        "branch3x3": (288, 384, 3, 3),
        "branch3x3dbl_1": (288, 64, 1, 1),
        "branch3x3dbl_2": (64, 96, 3, 3),
        "branch3x3dbl_3": (96, 96, 3, 3),
    },
    "Mixed_6b": _block_c(128),
    "Mixed_6c": _block_c(160),
    "Mixed_6d": _block_c(160),
    "Mixed_6e": _block_c(192),
    "Mixed_7a": {
        "branch3x3_1": (768, 192, 1, 1),
        "branch3x3_2": (192, 320, 3, 3),
        "branch7x7x3_1": (768, 192, 1, 1),
        "branch7x7x3_2": (192, 192, 1, 7),
        "branch7x7x3_3": (192, 192, 7, 1),
        "branch7x7x3_4": (192, 192, 3, 3),
    },
    "Mixed_7b": _block_e(1280),
    "Mixed_7c": _block_e(2048),
}


def shapes() -> dict[str, tuple[int, ...]]:
    """The shape of every tensor that the network needs, by its name in the file.

    >>> shapes()["Mixed_5b.branch_pool.conv.weight"], shapes()["fc.weight"]
    ((32, 192, 1, 1), (1008, 2048))
    """
    found: dict[str, tuple[int, ...]] = {}
    for block, branches in BRANCHES.items():
        for branch, (channels_in, channels_out, height, width) in branches.items():
            name = f"{block}.{branch}" if block else branch
            found[f"{name}.conv.weight"] = (channels_out, channels_in, height, width)
            for part in ("weight", "bias", "running_mean", "running_var"):
                found[f"{name}.bn.{part}"] = (channels_out,)
    return found | {"fc.weight": (1008, 2048), "fc.bias": (1008,)}


def check_state(state: Mapping[str, Tensor]) -> None:
    """Whether these tensors are a file of this network.

    Raises:
        MetricError: one is missing or of another shape (torchvision's Inception, for one, has 1000 outputs).
    """
    for name, shape in shapes().items():
        if name not in state:
            raise MetricError(f"these are no weights of the 2015 Inception network: {name} is missing")
        if tuple(state[name].shape) != shape:
            raise MetricError(
                f"these are no weights of the 2015 Inception network: {name} must be {shape}; got "
                f"{tuple(state[name].shape)}"
            )
