import pytest
import torch

from improved_gan.data.dataset import DataError, LabeledImages, to_float01


def test_every_gray_level_is_exact_after_a_round_trip() -> None:
    levels = torch.arange(256, dtype=torch.uint8)
    assert torch.equal((to_float01(levels) * 255).round().to(torch.uint8), levels)
    assert to_float01(levels).dtype == torch.float32


@pytest.mark.parametrize(
    ("images", "labels", "message"),
    [
        (torch.zeros(2, 8, 8, dtype=torch.uint8), torch.zeros(2).long(), r"\(N, C, H, W\) uint8; got \(2, 8, 8\)"),
        (torch.zeros(2, 1, 8, 8), torch.zeros(2).long(), "float32"),
        (torch.zeros(2, 1, 8, 8, dtype=torch.uint8), torch.zeros(3).long(), r"\(2,\) int64.*got \(3,\)"),
        (torch.zeros(2, 1, 8, 8, dtype=torch.uint8), torch.zeros(2), "float32"),
    ],
)
def test_shapes_and_dtypes_are_checked(images: torch.Tensor, labels: torch.Tensor, message: str) -> None:
    with pytest.raises(DataError, match=message):
        LabeledImages(images, labels)
