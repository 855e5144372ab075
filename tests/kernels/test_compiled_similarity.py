import pytest
import torch

from improved_gan.kernels import compiled_similarity, cpp_extension
from improved_gan.kernels.l1_similarity import l1_similarity

pytestmark = pytest.mark.skipif(cpp_extension.library() is None, reason="no C++ compiler")


def draws(seed: int, *shape: int, dtype: torch.dtype = torch.float64) -> torch.Tensor:
    return 0.3 * torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=dtype)


def results(x: torch.Tensor, y: torch.Tensor | None, skip: int | None) -> list[torch.Tensor]:
    similarity = l1_similarity(x, y, skip=skip)
    wanted = [x] if y is None else [x, y]
    return [similarity, *torch.autograd.grad(similarity.square().sum(), wanted, create_graph=True)]


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize(
    ("n", "m", "skip"), [(37, None, None), (37, None, 0), (1, None, None), (37, 21, None), (5, 9, 3)]
)
def test_it_is_the_path_without_a_compiler(
    monkeypatch: pytest.MonkeyPatch, n: int, m: int | None, skip: int | None, dtype: torch.dtype
) -> None:
    x = draws(0, n, 3, 5, dtype=dtype).requires_grad_()
    x.data[-1] = x.data[0]  # ties: the sign of 0 is 0
    y = None if m is None else draws(1, m, 3, 5, dtype=dtype).requires_grad_()
    expected = results(x, y, skip)
    monkeypatch.setattr(compiled_similarity, "_LEAST", 0)
    assert compiled_similarity.takes(x, y, -1 if skip is None else skip)
    for threads in (1, 2):
        torch.set_num_threads(threads)
        limit = 1e-4 if dtype == torch.float32 else 1e-12
        torch.testing.assert_close(results(x, y, skip), expected, rtol=limit, atol=limit)


def test_the_second_derivative_goes_through_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compiled_similarity, "_LEAST", 0)
    x = draws(0, 4, 2, 3).requires_grad_()
    assert torch.autograd.gradgradcheck(lambda rows: l1_similarity(rows), (x,))


def test_threads_do_not_change_a_bit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compiled_similarity, "_LEAST", 0)
    x = draws(0, 50, 7, 5, dtype=torch.float32).requires_grad_()
    torch.set_num_threads(1)
    one = results(x, None, None)
    torch.set_num_threads(2)
    for first, second in zip(one, results(x, None, None), strict=True):
        assert first.equal(second)


def test_small_batches_and_other_types_are_left_to_pytorch() -> None:
    assert not compiled_similarity.takes(draws(0, 100, 100, 5), None, 0)
    assert compiled_similarity.takes(torch.zeros(256, 300, 50), None, 0)
    assert not compiled_similarity.takes(torch.zeros(256, 300, 50), None, 1)
    assert not compiled_similarity.takes(torch.zeros(256, 300, 50, dtype=torch.float16), None, 0)
