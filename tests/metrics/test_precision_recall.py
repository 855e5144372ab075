import pytest
import torch

from improved_gan.metrics import MetricError, precision_recall
from tests.oracles import metrics as oracle


def draw(num: int, seed: int, scale: float = 1.0) -> torch.Tensor:
    return scale * torch.randn(num, 3, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


@pytest.mark.parametrize("rows", [7, 100])
@pytest.mark.parametrize("k", [1, 3])
def test_it_is_the_definition(k: int, rows: int) -> None:
    generated, real = draw(30, 0, 1.5), draw(40, 1)
    assert precision_recall(generated, real, k=k, rows=rows) == oracle.precision_recall(
        generated.numpy(), real.numpy(), k
    )


def test_extremes() -> None:
    real = draw(100, 0)
    assert precision_recall(real, real) == (1, 1)
    assert precision_recall(real + 100, real) == (0, 0)
    narrow = precision_recall(draw(100, 1, 0.05), real)  # one mode: realistic, without variety
    assert narrow.precision == 1
    assert narrow.recall < 0.2


def test_bad_input() -> None:
    with pytest.raises(MetricError, match="3 nearest neighbors"):
        precision_recall(draw(3, 0), draw(10, 1))
