import pytest
import torch
from torch import nn

from improved_gan.techniques import WeightEMA, weight_norm
from improved_gan.training.stacked_networks import StackedNetwork, stacked_ema, vmappable


def networks(num: int = 3) -> list[nn.Module]:
    result = []
    for seed in range(num):
        torch.manual_seed(seed)
        first, second = weight_norm(nn.Linear(4, 3)), weight_norm(nn.Linear(3, 2), learn_scale=False)
        network = nn.Sequential(nn.BatchNorm1d(4), first, nn.Tanh(), second)
        result.append(network)
    return result


@pytest.mark.parametrize("layer", [nn.Linear(4, 3), nn.Conv2d(2, 3, 3), nn.ConvTranspose2d(2, 3, 5)])
def test_a_vmappable_copy_has_the_same_weights(layer: nn.Module) -> None:
    network = weight_norm(layer, scale=0.7)
    torch.testing.assert_close(vmappable(network).weight, network.weight)
    assert network.parametrizations.weight[0] is not vmappable(network).parametrizations.weight[0]


def test_networks_become_views_and_stacked_adam_equals_their_own() -> None:
    models, separate = networks(), networks()
    adams = [torch.optim.Adam([p for p in one.parameters() if p.requires_grad], lr=0.1, fused=True) for one in models]
    own = [torch.optim.Adam([p for p in one.parameters() if p.requires_grad], lr=0.1, fused=True) for one in separate]
    inputs = torch.randn(3, 8, 4)

    def update(network: nn.Module, optimizer: torch.optim.Optimizer, values: torch.Tensor) -> None:
        optimizer.zero_grad()
        network(values).square().sum().backward()
        optimizer.step()

    for index in range(3):  # one step before they are stacked
        update(models[index], adams[index], inputs[index])
        update(separate[index], own[index], inputs[index])
    stacked = StackedNetwork("discriminator", models)
    stacked.stack_optimizers(adams)
    for _ in range(2):
        stacked.optimizer.zero_grad()
        for index in range(3):  # the views have no graph to the stack, so its gradient is set explicitly
            loss = models[index](inputs[index]).square().sum()
            trainable = [p for p in models[index].parameters() if p.requires_grad]
            for whole, gradient in zip(stacked.trainable(), torch.autograd.grad(loss, trainable), strict=True):
                whole.grad = torch.zeros_like(whole) if whole.grad is None else whole.grad
                whole.grad[index] = gradient
            update(separate[index], own[index], inputs[index])
        stacked.optimizer.step()
    for index in range(3):
        stacked.unstack(adams[index])
        for ours, theirs in zip(models[index].parameters(), separate[index].parameters(), strict=True):
            torch.testing.assert_close(ours, theirs)
        for ours, theirs in zip(adams[index].state.values(), own[index].state.values(), strict=True):
            assert ours["step"] == theirs["step"] == 3
            torch.testing.assert_close(ours["exp_avg_sq"], theirs["exp_avg_sq"])


def test_a_stacked_average_equals_each_models_own() -> None:
    models = networks(2)
    averages = [WeightEMA(one, 0.5) for one in models]
    for average in averages:
        average.update()
    stacked = StackedNetwork("discriminator", models)
    common = stacked_ema(averages, stacked)
    expected = [average.averaged(one)[1].bias for average, one in zip(averages, models, strict=True)]
    with torch.no_grad():
        for value in stacked.trainable():
            value += 1
    common.update()
    for average in averages:
        average.num_updates += 1
    for average, one, before in zip(averages, models, expected, strict=True):
        # a_2 = (a_1 + theta + 1) / 2 with a_1 = theta / 2, corrected by 1 - 0.5^2
        torch.testing.assert_close(average.averaged(one)[1].bias, (before / 4 + (before + 1) / 2) / 0.75)
