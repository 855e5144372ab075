import pytest
import torch
from torch import Tensor
from torch.utils.checkpoint import checkpoint

from improved_gan.kernels.recomputation import in_backward


@pytest.mark.parametrize("reentrant", [True, False])
def test_only_the_second_pass_is_within_the_backward_pass(reentrant: bool) -> None:
    seen: list[bool] = []

    def square(values: Tensor) -> Tensor:
        seen.append(in_backward())
        return values**2

    values = torch.ones(2, requires_grad=True)
    output = checkpoint(square, values, use_reentrant=reentrant).sum()
    assert seen == [False]
    output.backward()
    assert seen == [False, True]
    assert not in_backward()
