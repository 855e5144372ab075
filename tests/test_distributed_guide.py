"""The code of docs/distributed.md for DistributedDataParallel, in two processes against one."""

import re
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.distributed as dist
from torch import Tensor

from improved_gan import distributed
from tests.ranks import TwoRanks

PAGE = Path(__file__).parent.parent / "docs" / "distributed.md"


def guide() -> dict[str, Any]:
    """The names that the page's code defines."""
    (block,) = re.findall(r"```python\n(.*?)```", PAGE.read_text(), re.DOTALL)
    names: dict[str, Any] = {}
    exec(compile(block, PAGE.name, "exec"), names)
    return names


class Alone(torch.nn.Module):
    """Stands for DDP in one process."""

    def __init__(self, module: torch.nn.Module) -> None:
        super().__init__()
        self.module = module

    def forward(self, *inputs: Any, **options: Any) -> Any:
        return self.module(*inputs, **options)


def gradients() -> tuple[list[Tensor], list[Tensor]]:
    """Of both networks after two steps each, on this rank's rows of the batch."""
    names = guide()
    if not dist.is_initialized():
        names["DistributedDataParallel"] = Alone
    torch.manual_seed(3)
    discriminator, generator = names["make_networks"]()
    rows = slice(distributed.rank(), None, distributed.world_size())
    draw = torch.Generator().manual_seed(4)
    images, latents, labels = torch.randn(8, 8, generator=draw), torch.randn(8, 4, generator=draw), torch.arange(8) % 3
    for _ in range(2):  # DDP complains of an unfinished step in the next one
        names["discriminator_step"](
            discriminator, generator, images[rows], labels[rows], images[rows] + 1, latents[rows]
        )
        names["generator_step"](discriminator, generator, images[rows] - 1, latents[rows] * 2)
    return tuple([one.grad for one in player.parameters()] for player in (discriminator, generator))  # type: ignore[return-value]


def test_two_processes_have_the_gradients_of_one(two_ranks: TwoRanks) -> None:
    expected = gradients()
    assert all(gradient is not None for player in expected for gradient in player)
    for ours in two_ranks(gradients):
        torch.testing.assert_close(ours, expected)


def passes(unused: bool) -> str:
    """Two passes through DDP itself that leave out the last layer; what PyTorch says of them."""
    names = guide()
    made, _ = names["make_networks"]()
    try:
        if unused:
            names["discriminator_on_features"](made, torch.randn(4, 8))
        else:
            for _ in range(2):
                made(torch.randn(4, 8), features=True).square().mean().backward()
    except RuntimeError as error:
        return str(error).strip().splitlines()[0]
    return ""


@pytest.mark.parametrize("unused", [True, False])
def test_a_pass_without_a_layer_needs_find_unused_parameters(unused: bool, two_ranks: TwoRanks) -> None:
    messages = ["", ""] if unused else ["Expected to have finished reduction in the prior iteration"] * 2
    for ours, expected in zip(two_ranks(passes, unused), messages, strict=True):
        assert ours.startswith(expected)
        assert bool(ours) == bool(expected)
