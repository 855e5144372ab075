from copy import deepcopy
from dataclasses import dataclass

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from improved_gan.networks.interface import Discriminator, Generator
from improved_gan.training import Adversarial, Objective, Optimizers, Terms, train_step
from improved_gan.training.historical_averaging import HistoricallyAveraged, ParameterAverages, after_each_step
from tests.training.test_objectives import Identity, Images, Pixels


@dataclass(frozen=True)
class Pull(Objective):
    """Each network has a linear loss, so that gradient descent changes it by a known amount."""

    def discriminator_terms(self, generator: Generator, discriminator: Discriminator, batch: object) -> Terms:
        return Terms({"pull": sum(parameter.sum() for parameter in discriminator.parameters())})

    def generator_terms(self, generator: Generator, discriminator: Discriminator, batch: object) -> Terms:
        return Terms({"pull": sum(parameter.sum() for parameter in generator.parameters())})


def images() -> Images:
    one = torch.zeros(2, 1, 2, 2, dtype=torch.float64)
    return Images(one, torch.zeros(2).long(), one, one)


def test_both_networks_have_the_penalty_of_their_own_average() -> None:
    generator, discriminator, rate, weight = Identity(), Pixels(), 0.1, 0.5
    optimizers = Optimizers(
        discriminator=torch.optim.SGD(discriminator.parameters(), lr=rate),
        generator=torch.optim.SGD(generator.parameters(), lr=rate),
    )
    objective = HistoricallyAveraged(Pull(), ParameterAverages(optimizers), weight)
    networks = {"discriminator": discriminator, "generator": generator}
    expected = {name: flat(network) for name, network in networks.items()}
    past: dict[str, list[np.ndarray]] = {name: [] for name in networks}
    for _ in range(5):
        terms = train_step(generator, discriminator, objective, images(), optimizers)
        for name in networks:
            mean = np.mean(past[name], axis=0) if past[name] else expected[name]
            penalty = weight * np.sum((expected[name] - mean) ** 2)
            assert terms[f"{name}/history"].item() == pytest.approx(penalty, rel=1e-5, abs=1e-12)
            expected[name] = expected[name] - rate * (1 + 2 * weight * (expected[name] - mean))
            past[name].append(expected[name])
            np.testing.assert_allclose(flat(networks[name]), expected[name], rtol=1e-5)


def test_simultaneous_updates_have_both_penalties() -> None:
    generator, discriminator = Identity(), Pixels()
    optimizers = Optimizers(
        discriminator=torch.optim.SGD(discriminator.parameters(), lr=0.1),
        generator=torch.optim.SGD(generator.parameters(), lr=0.1),
    )
    objective = HistoricallyAveraged(Adversarial(simultaneous=True), ParameterAverages(optimizers), 0.5)
    first = train_step(generator, discriminator, objective, images(), optimizers)
    assert first["discriminator/history"].item() == first["generator/history"].item() == 0
    with torch.no_grad():
        for parameter in (*generator.parameters(), *discriminator.parameters()):
            parameter.add_(1.0)
    plain = deepcopy((generator, discriminator))
    batch = images()
    torch.manual_seed(0)
    second = train_step(generator, discriminator, objective, batch, optimizers)
    torch.manual_seed(0)
    train_step(*plain, objective.base, batch, Optimizers(*(torch.optim.SGD(one.parameters()) for one in plain[::-1])))
    for name, network, without in zip(
        ("generator", "discriminator"), (generator, discriminator), plain, strict=True
    ):  # each parameter is 1 away from its average
        assert second[f"{name}/history"].item() == pytest.approx(0.5 * flat(network).size, rel=1e-5)
        for one, other in zip(network.parameters(), without.parameters(), strict=True):
            torch.testing.assert_close(one.grad - other.grad, torch.ones_like(one), rtol=1e-4, atol=1e-4)


def flat(module: nn.Module) -> np.ndarray:
    values = [parameter.detach().double().flatten() for parameter in module.parameters()]
    return torch.cat(values).numpy().copy()


def test_averages_are_saved_and_loaded() -> None:
    def parameter_averages(value: float) -> ParameterAverages:
        parameter = nn.Parameter(torch.tensor([value]))
        optimizer = torch.optim.SGD([parameter], lr=1.0)
        result = ParameterAverages(Optimizers(discriminator=optimizer, generator=optimizer))
        parameter.grad = torch.ones(1)
        optimizer.step()
        return result

    first, second = parameter_averages(5.0), parameter_averages(9.0)
    second.load_state_dict(first.state_dict())
    assert second.generator.means()[0].item() == first.generator.means()[0].item() == 4.0


def test_after_each_step_is_called_once_a_step() -> None:
    calls: list[Tensor] = []
    parameter = nn.Parameter(torch.ones(1))
    optimizer = torch.optim.SGD([parameter], lr=1.0)
    after_each_step(optimizer, lambda: calls.append(parameter.detach().clone()))
    for _ in range(3):
        parameter.grad = torch.ones(1)
        optimizer.step()
    assert [call.item() for call in calls] == [0.0, -1.0, -2.0]
