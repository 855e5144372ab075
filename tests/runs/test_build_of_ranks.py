from dataclasses import replace

import torch
from torch import nn

from improved_gan import distributed
from improved_gan.recipes import RecipeError, digits
from improved_gan.runs.build import _broadcast, _summed, check_batch_divisible
from tests.ranks import TwoRanks


def share(size: int) -> str:
    try:
        check_batch_divisible(replace(digits(), batch_size=size))
    except RecipeError as error:
        return str(error)
    return ""


def test_a_batch_that_does_not_divide_is_refused(two_ranks: TwoRanks) -> None:
    assert two_ranks(share, 100) == ["", ""]
    assert all("batch of 99 does not divide by 2 processes: start 1 or 3" in text for text in two_ranks(share, 99))


def taken() -> tuple[float, int]:
    network = nn.Linear(1, 1)
    nn.init.constant_(network.weight, 5.0 + distributed.rank())
    _broadcast(network)
    return network.weight.item(), _summed(2**40 + distributed.rank())


def test_weights_are_those_of_rank_0_and_counts_are_added(two_ranks: TwoRanks) -> None:
    assert two_ranks(taken) == [(5.0, 2**41 + 1)] * 2
    torch.manual_seed(0)
    assert taken() == (5.0, 2**40)
