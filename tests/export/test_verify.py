import dataclasses

import pytest
import torch
from torch import Tensor

from improved_gan.export.errors import ExportError
from improved_gan.export.export_module import ExportSpec, TensorSpec
from improved_gan.export.verify import BATCHES, largest_differences


def spec(scale: float) -> ExportSpec:
    return ExportSpec(
        "features",
        torch.nn.Identity(),
        TensorSpec("rows", "float32", ("N", 2), ""),
        (TensorSpec("sums", "float32", ("N",), ""),),
        lambda rows: (scale * rows.sum(1),),
        lambda num: torch.ones(num, 2),
    )


def test_the_largest_difference_over_all_batches() -> None:
    seen = []

    def answer(rows: Tensor) -> tuple[Tensor, ...]:
        seen.append(len(rows))
        return (rows.sum(1) + (4e-6 if len(rows) == 7 else 0),)

    assert largest_differences(spec(1), answer)["sums"] == pytest.approx(2e-6, rel=0.2)  # of the largest, 2
    assert seen == list(BATCHES)


@pytest.mark.parametrize("wrong", [1e-4, float("nan")])
def test_a_file_that_answers_otherwise_is_refused(wrong: float) -> None:
    with pytest.raises(ExportError, match="differ from the network's"):
        largest_differences(spec(1), lambda rows: (rows.sum(1) + wrong,))


def test_large_outputs_count_by_their_size_and_shapes_must_agree() -> None:
    assert largest_differences(spec(1e4), lambda rows: (1e4 * rows.sum(1) + 0.01,))["sums"] < 1e-5
    with pytest.raises(ExportError, match=r"came as \(1, 1\), not \(1,\)"):
        largest_differences(spec(1), lambda rows: (rows.sum(1, keepdim=True),))
    assert dataclasses.is_dataclass(spec(1))
