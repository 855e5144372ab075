"""Random weights for the 2015 Inception network, in the format of the real file, where the real one is not available.

The same seed gives the same weights. The classifier's rows are made orthogonal to the mean feature and scaled, so that
predictions differ between images (scores of 3 to 10 on photographs).

    python benchmarks/random_inception.py /tmp/random.pth
"""

import sys

import torch
from torch import Tensor

from improved_gan.metrics.inception import Inception2015
from improved_gan.metrics.inception_layout import shapes

SHARPNESS = 128.0


def random_weights(seed: int = 0) -> dict[str, Tensor]:
    """A state dict that can be loaded by the network, torch-fidelity and torchmetrics."""
    source = torch.Generator().manual_seed(seed)
    state: dict[str, Tensor] = {}
    for name, shape in shapes().items():
        if name.endswith("conv.weight"):
            fan_in = shape[1] * shape[2] * shape[3]
            state[name] = torch.randn(shape, generator=source) * (2 / fan_in) ** 0.5
        elif name.endswith(("running_mean", "bn.bias")):
            state[name] = 0.02 * torch.randn(shape, generator=source)
        elif name.endswith(("running_var", "bn.weight")):
            state[name] = 0.9 + 0.2 * torch.rand(shape, generator=source)
        else:
            state[name] = torch.randn(shape, generator=source) / 2048**0.5
    coarse = 2 * torch.rand(4, 3, 5, 5, generator=source) - 1
    images = torch.nn.functional.interpolate(coarse, size=(299, 299), mode="bicubic").clamp(-1, 1)
    mean = Inception2015(state)(images).features.mean(0)
    rows = state["fc.weight"]
    state["fc.weight"] = SHARPNESS * (rows - torch.outer(rows @ mean, mean) / (mean @ mean))
    for name in [name for name in state if name.endswith("running_mean")]:
        state[name.replace("running_mean", "num_batches_tracked")] = torch.tensor(0)
    return state


if __name__ == "__main__":
    torch.save(random_weights(), sys.argv[1])
