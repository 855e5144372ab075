"""The PyTorch operations; tests/kernels/test_compiled_similarity.py compares the C++ kernel with them."""

from collections.abc import Iterator

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from improved_gan.kernels import compiled_similarity
from improved_gan.kernels import l1_similarity as kernel
from improved_gan.kernels.l1_similarity import l1_similarity
from tests.oracles import minibatch


@pytest.fixture(autouse=True, scope="module")
def _without_the_kernel() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(compiled_similarity, "_LEAST", 2**62)
        yield


def draws(seed: int, *shape: int) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


@settings(max_examples=40)
@given(seed=st.integers(0, 99), n=st.integers(1, 70), m=st.integers(1, 300), b=st.integers(1, 3), c=st.integers(1, 4))
def test_agrees_with_numpy_whatever_the_tiling(seed: int, n: int, m: int, b: int, c: int) -> None:
    x, y = draws(seed, n, b, c), draws(seed + 1, m, b, c)
    for ours, expected in (
        (l1_similarity(x), minibatch.similarity(x)),
        (l1_similarity(x, skip=0), minibatch.similarity(x, include_self=False)),
        (l1_similarity(x, y), minibatch.similarity(x, y)),
    ):
        np.testing.assert_allclose(ours.numpy(), expected, rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("shape", [(5, 2, 3), (70, 2, 2), (300, 1, 2), (40, 3, 5000)])
def test_gradient_agrees_with_numpy_over_several_tiles(shape: tuple[int, ...]) -> None:
    x, weight = draws(0, *shape) * 3 / shape[2], draws(1, *shape[:2])
    x[1] = x[0]  # a tie: the derivative of |0| is 0
    x.requires_grad_()
    (ours,) = torch.autograd.grad((l1_similarity(x) * weight).sum(), x)
    if shape[2] < 100:
        np.testing.assert_allclose(ours, minibatch.similarity_gradient(x.detach(), weight), rtol=1e-9, atol=1e-10)
    (both_sides,) = torch.autograd.grad((l1_similarity(x, x.detach()) * weight).sum(), x)
    (other_side,) = torch.autograd.grad((l1_similarity(x.detach(), x) * weight).sum(), x)
    torch.testing.assert_close(ours, both_sides + other_side, rtol=1e-9, atol=1e-10)


def cases() -> list[tuple[object, tuple[torch.Tensor, ...]]]:
    x, y = draws(0, 5, 2, 3).requires_grad_(), draws(1, 4, 2, 3).requires_grad_()
    return [
        (lambda x: l1_similarity(x), (x,)),
        (lambda x: l1_similarity(x, skip=0), (x,)),
        (lambda x, y: l1_similarity(x, y), (x, y)),
        (lambda x, y: l1_similarity(y, x, skip=1), (x, y)),
        (lambda x: l1_similarity(x, y.detach()), (x,)),
        (lambda y: l1_similarity(x.detach(), y), (y,)),
    ]


@pytest.mark.parametrize("case", range(6))
def test_first_and_second_derivatives(case: int) -> None:
    function, inputs = cases()[case]
    assert torch.autograd.gradcheck(function, inputs)
    assert torch.autograd.gradgradcheck(function, inputs)


def test_second_derivatives_over_several_tiles() -> None:
    x = draws(0, 40, 2, 2).requires_grad_()
    both = [
        torch.autograd.grad(torch.autograd.grad(o.square().sum(), x, create_graph=True)[0].square().sum(), x)[0]
        for o in (l1_similarity(x, skip=0), (-(x[:, None] - x[None]).abs().sum(-1)).exp().sum(1) - 1)
    ]
    torch.testing.assert_close(both[0], both[1])


def test_far_apart_and_subnormal_similarities_vanish_quietly() -> None:
    x = torch.tensor([0.0, 95.0, 1e30, -1e30]).reshape(4, 1, 1).requires_grad_()
    result = l1_similarity(x)
    (gradient,) = torch.autograd.grad(result.sum(), x)
    assert torch.equal(result, torch.ones(4, 1))
    assert torch.equal(gradient, torch.zeros_like(x))


def test_custom_operators_pass_opcheck() -> None:
    x, y = draws(0, 4, 2, 3).requires_grad_(), draws(1, 3, 2, 3).requires_grad_()
    for columns, skip in ((None, 0), (y, -1)):
        torch.library.opcheck(torch.ops.improved_gan.l1_similarity, (x, columns, skip))


@pytest.mark.parametrize("pairs", [1, 40, 2**20])
@pytest.mark.parametrize(("n", "m"), [(1, 1), (7, 9), (9, 7)])
def test_several_threads_agree_with_numpy_whatever_the_pieces(
    monkeypatch: pytest.MonkeyPatch, pairs: int, n: int, m: int
) -> None:
    monkeypatch.setattr(kernel, "_CDIST_PAIRS", pairs)
    x, y = draws(0, n, 3, 2), draws(1, m, 3, 2)
    x_first, y_first = (t.transpose(0, 1).contiguous() for t in (x, y))
    np.testing.assert_allclose(kernel._cdist_similarity(x_first, y_first, -1).t(), minibatch.similarity(x, y))
    alone = kernel._cdist_similarity(x_first, x_first, 0).t()
    np.testing.assert_allclose(alone, minibatch.similarity(x, include_self=False), atol=1e-15)


@pytest.mark.parametrize("pairs", [1, 40, 2**20])
@pytest.mark.parametrize("skip", [None, 0, 2])
def test_several_threads_equal_one(monkeypatch: pytest.MonkeyPatch, pairs: int, skip: int | None) -> None:
    monkeypatch.setattr(kernel, "_CDIST_PAIRS", pairs)
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
