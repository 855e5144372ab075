"""Code that switches a network to another mode temporarily restores the mode of each module."""

import copy
from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from improved_gan.data.dataset import LabeledImages
from improved_gan.networks.interface import Discriminator, DiscriminatorOutput, Generator
from improved_gan.reports.galleries import generate
from improved_gan.runs.networks import count_errors
from improved_gan.techniques import WeightEMA, data_dependent_init_, weight_norm
from improved_gan.training.sampling import ema_generator, sample


def layers(width: int) -> nn.Sequential:
    """With a batch norm that learns and one that is frozen."""
    return nn.Sequential(
        weight_norm(nn.Linear(4, width)),
        nn.BatchNorm1d(width),
        weight_norm(nn.Linear(width, 4)),
        nn.BatchNorm1d(4).eval(),
    )


class Images(Generator):
    def __init__(self) -> None:
        super().__init__()
        self.layers = layers(3)

    def draw_latents(self, num: int, *, source: torch.Generator | None = None) -> Tensor:
        return torch.rand(num, 4, generator=source)

    def forward(self, latents: Tensor) -> Tensor:
        return self.layers(latents).sigmoid().reshape(-1, 1, 2, 2)


class Scores(Discriminator):
    def __init__(self) -> None:
        super().__init__()
        self.layers = layers(5)

    def forward(self, images: Tensor) -> DiscriminatorOutput:
        features = self.layers(images.flatten(1))
        return DiscriminatorOutput(features, features)


LABELED = LabeledImages(torch.randint(256, (6, 1, 2, 2), dtype=torch.uint8), torch.arange(6) % 4)


def average(generator: nn.Module) -> WeightEMA:
    result = WeightEMA(generator, 0.5)
    result.update()
    return result


SWITCHERS: dict[str, tuple[Callable[[], nn.Module], Callable[[nn.Module], nn.Module | object]]] = {
    "data_dependent_init_": (lambda: layers(3), lambda network: data_dependent_init_(network, torch.randn(50, 4))),
    "Generator.init_from_data_": (Images, lambda network: network.init_from_data_(50)),
    "Discriminator.init_from_data_": (Scores, lambda network: network.init_from_data_(torch.rand(50, 1, 2, 2))),
    "sample": (Images, lambda network: sample(network, 3, seed=0)),
    "generate": (Images, lambda network: generate(network, torch.rand(3, 4), device="cpu")),
    "averaged": (Images, lambda network: average(network).averaged(network)),
    "ema_generator": (Images, lambda network: ema_generator(network, average(network))),
    "count_errors": (Scores, lambda network: count_errors(network, LABELED, device=torch.device("cpu"))),
}


@pytest.mark.parametrize("whole", ["training", "evaluation"])
@pytest.mark.parametrize("name", SWITCHERS)
def test_each_module_keeps_its_own_mode(name: str, whole: str) -> None:
    build, switch = SWITCHERS[name]
    network = build()
    if whole == "evaluation":
        network.eval()
        list(network.modules())[-1].train()
    before = [module.training for module in network.modules()]
    result = switch(network)
    for one in (network, result):
        if isinstance(one, nn.Module):  # a copy has the modes of what it was made from
            assert [module.training for module in one.modules()] == before


@pytest.mark.parametrize("name", SWITCHERS)
def test_a_frozen_batch_norm_keeps_its_statistics(name: str) -> None:
    build, switch = SWITCHERS[name]
    network = build()
    frozen = [module for module in network.modules() if isinstance(module, nn.BatchNorm1d) and not module.training]
    before = copy.deepcopy(dict(frozen[0].state_dict()))
    result = switch(network)
    assert torch.equal(frozen[0].running_mean, before["running_mean"])
    if isinstance(result, nn.Module):
        copied = [m for m in result.modules() if isinstance(m, nn.BatchNorm1d)]
        assert torch.equal(copied[-1].running_mean, before["running_mean"])
        if name == "ema_generator":
            assert not torch.equal(copied[0].running_mean, torch.zeros(3))


def test_modes_are_restored_after_an_error() -> None:
    network = Scores()
    bad = LabeledImages(torch.zeros(6, 1, 3, 3, dtype=torch.uint8), torch.arange(6))
    with pytest.raises(RuntimeError):
        count_errors(network, bad, device=torch.device("cpu"))
    assert network.training
    assert not network.layers[3].training
