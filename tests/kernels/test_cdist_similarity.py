import numpy as np
import pytest
import torch

from improved_gan.kernels import cdist_similarity
from improved_gan.kernels.l1_similarity import l1_similarity
from tests.oracles import minibatch


def draws(seed: int, *shape: int) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


@pytest.mark.parametrize("pairs", [1, 40, 2**20])
@pytest.mark.parametrize(("n", "m"), [(1, 1), (7, 9), (9, 7)])
def test_agrees_with_numpy_whatever_the_pieces(monkeypatch: pytest.MonkeyPatch, pairs: int, n: int, m: int) -> None:
    monkeypatch.setattr(cdist_similarity, "_PAIRS", pairs)
    x, y = draws(0, n, 3, 2), draws(1, m, 3, 2)
    x_first, y_first = (t.transpose(0, 1).contiguous() for t in (x, y))
    np.testing.assert_allclose(cdist_similarity.similarity(x_first, y_first, -1).t(), minibatch.similarity(x, y))
    alone = cdist_similarity.similarity(x_first, x_first, 0).t()
    np.testing.assert_allclose(alone, minibatch.similarity(x, include_self=False), atol=1e-15)


@pytest.mark.parametrize("pairs", [1, 40, 2**20])
@pytest.mark.parametrize("skip", [None, 0, 2])
def test_several_threads_equal_one(monkeypatch: pytest.MonkeyPatch, pairs: int, skip: int | None) -> None:
    monkeypatch.setattr(cdist_similarity, "_PAIRS", pairs)
    x, y = draws(0, 7, 3, 2).requires_grad_(), draws(1, 9, 3, 2).requires_grad_()
    x.data[1] = x.data[0]  # a tie
    for columns in (None, y):
        results = []
        for threads in (1, 2):
            torch.set_num_threads(threads)
            similarity = l1_similarity(x, columns, skip=skip)
            wanted = [x] if columns is None else [x, columns]
            results.append([similarity, *torch.autograd.grad(similarity.square().sum(), wanted)])
        torch.testing.assert_close(*results)


def test_derivatives_with_several_threads() -> None:
    torch.set_num_threads(2)
    x, y = draws(0, 4, 2, 3).requires_grad_(), draws(1, 3, 2, 3).requires_grad_()
    for function, inputs in ((lambda x: l1_similarity(x, skip=0), (x,)), (lambda x, y: l1_similarity(x, y), (x, y))):
        assert torch.autograd.gradcheck(function, inputs)
        assert torch.autograd.gradgradcheck(function, inputs)


def test_operators_with_several_threads_at_the_smallest_sizes() -> None:
    torch.set_num_threads(2)
    for shape in ((1, 1, 1), (2, 1, 3), (1, 4, 1)):
        x = draws(0, *shape).requires_grad_()
        torch.library.opcheck(torch.ops.improved_gan.l1_similarity, (x, None, -1))
