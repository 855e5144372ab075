import pytest
import torch
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.fx.experimental.proxy_tensor import make_fx

from improved_gan.kernels import compiled_similarity, cpp_extension
from improved_gan.kernels.l1_similarity import l1_similarity
from tests.oracles import minibatch

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


def test_the_smallest_batches_and_other_types_are_left_to_pytorch() -> None:
    assert not compiled_similarity.takes(torch.zeros(8, 20, 5), None, 0)
    for shape in ((16, 20, 5), (100, 100, 5), (256, 300, 50)):
        assert compiled_similarity.takes(torch.zeros(shape), None, 0)
    assert not compiled_similarity.takes(torch.zeros(256, 300, 50), None, 1)
    assert not compiled_similarity.takes(torch.zeros(256, 300, 50, dtype=torch.float16), None, 0)


def test_nothing_is_compiled_while_a_graph_is_traced(monkeypatch: pytest.MonkeyPatch) -> None:
    called = []
    library = cpp_extension.library
    monkeypatch.setattr(cpp_extension, "library", lambda: called.append(True) or library())
    x = draws(0, 32, 20, 5)
    with FakeTensorMode():
        assert l1_similarity(torch.empty(32, 20, 5)).shape == (32, 20)
    make_fx(lambda rows: l1_similarity(rows), tracing_mode="fake")(x)
    assert not called
    torch.testing.assert_close(l1_similarity(x).numpy(), minibatch.similarity(x))
    assert called


def test_it_works_in_compiled_graphs_and_under_vmap() -> None:
    x, weight = draws(0, 2, 32, 20, 5), draws(1, 32, 20)
    expected = torch.stack([torch.as_tensor(minibatch.similarity(one)) for one in x])
    gradient = torch.as_tensor(minibatch.similarity_gradient(x[0], weight))

    def loss(rows: torch.Tensor) -> torch.Tensor:
        return (l1_similarity(rows) * weight).sum()

    torch.testing.assert_close(torch.func.vmap(l1_similarity)(x), expected)
    compiled = torch.compile(loss, backend="aot_eager", fullgraph=True)
    rows = x[0].clone().requires_grad_()
    torch.testing.assert_close(torch.autograd.grad(compiled(rows), rows)[0], gradient)
    torch.library.opcheck(torch.ops.improved_gan.l1_similarity, (rows, None, 0))
