import copy

import pytest
import torch
from torch import nn

from improved_gan.modes import in_mode, to_training_


def network() -> nn.Sequential:
    """In training mode, with a frozen batch norm and, in a frozen block, a dropout that is on."""
    made = nn.Sequential(nn.Linear(2, 2), nn.BatchNorm1d(2).eval(), nn.Sequential(nn.Dropout(), nn.Linear(2, 2)).eval())
    made[2][0].train()
    return made


def modes(some: nn.Module) -> list[bool]:
    return [module.training for module in some.modules()]


@pytest.mark.parametrize("whole", [True, False])
@pytest.mark.parametrize("training", [True, False])
def test_every_mode_comes_back_after_an_error_too(training: bool, whole: bool) -> None:
    made = network()
    made.training = whole
    before = modes(made)
    with in_mode(made, training=training):
        assert made.training == training
    assert modes(made) == before
    with pytest.raises(ZeroDivisionError), in_mode(made, training=training):
        raise ZeroDivisionError
    assert modes(made) == before


def test_evaluation_takes_everything_and_training_leaves_what_is_frozen() -> None:
    made = network()
    with in_mode(made, training=False):
        assert not any(modes(made))
    with in_mode(made, training=True):
        assert modes(made) == modes(network())
    made.eval()
    with in_mode(made, training=True):
        assert all(modes(made))
    to_training_(made)
    assert all(modes(made))


class Refreshing(nn.Module):
    """Does something of its own when it is put into evaluation mode."""

    refreshed = 0

    def train(self, mode: bool = True) -> "Refreshing":
        self.refreshed += not mode
        return super().train(mode)


def test_a_module_hears_of_its_mode() -> None:
    made = Refreshing().eval()
    with in_mode(made, training=True):
        assert made.refreshed == 1
    assert made.refreshed == 2
    assert not made.training


def test_statistics_of_a_frozen_layer_do_not_move() -> None:
    made = network()
    before = copy.deepcopy(made[1].state_dict())
    with in_mode(made, training=True):
        made(torch.randn(8, 2))
    torch.testing.assert_close(dict(made[1].state_dict()), dict(before))
