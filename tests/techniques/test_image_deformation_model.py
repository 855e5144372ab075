import pytest
import torch
from sklearn.datasets import load_digits

from improved_gan.techniques import deformation_distance, deformation_neighbours, spread_labels

DIGITS = torch.from_numpy(load_digits().images).float()[:, None]
CLASSES = torch.from_numpy(load_digits().target).long()


def test_neighbours_are_nearly_those_of_all_pairs() -> None:
    images = DIGITS[:150]
    rows = torch.arange(150)
    pairs = [images[one].flatten(0, 1) for one in (rows.repeat_interleave(150), rows.repeat(150))]
    table = deformation_distance(pairs[0][:, None], pairs[1][:, None], reach=1).view(150, 150).fill_diagonal_(torch.inf)
    wanted = table.topk(5, largest=False).values
    positions, found = deformation_neighbours(images, 5, reach=1)
    torch.testing.assert_close(table.gather(1, positions), found, atol=1e-3, rtol=1e-4)
    assert (found <= wanted[:, -1:] * (1 + 1e-4)).float().mean() > 0.99


def test_more_of_them_are_of_the_same_class_than_of_neighbours_in_pixels() -> None:
    near = torch.cdist(DIGITS.flatten(1), DIGITS.flatten(1)).fill_diagonal_(torch.inf).topk(10, largest=False).indices
    bent, _ = deformation_neighbours(DIGITS, 10, reach=1)
    wrong = [(CLASSES[found] != CLASSES[:, None]).float().mean().item() for found in (near, bent)]
    assert wrong[1] < 0.8 * wrong[0]


def test_labels_spread_over_them() -> None:
    labels = torch.full_like(CLASSES, -1)
    for one in range(10):
        labels[(one == CLASSES).nonzero().flatten()[:5]] = one
    wrong = [
        (spread_labels(DIGITS, labels, neighbours=neighbours).argmax(1) != CLASSES).float().mean().item()
        for neighbours in (None, deformation_neighbours(DIGITS, 10, reach=1))
    ]
    assert wrong[1] < 0.8 * wrong[0]


def test_scale_and_dtype_do_not_matter_to_neighbours() -> None:
    images = DIGITS[:100]
    expected, _ = deformation_neighbours(images, 3)
    for same in (images.to(torch.uint8), 7 * images.double(), images.half(), 1e34 * images, 1e-30 * images):
        assert (deformation_neighbours(same, 3)[0] == expected).float().mean() > 0.99


def test_colours_count_each() -> None:
    red, blue = torch.zeros(2, 1, 3, 6, 6)
    red[0, 0, :, 2] = 1
    blue[0, 2, :, 2] = 1
    both = deformation_distance(red, blue, reach=2)
    grey = deformation_distance(red.mean(1, keepdim=True), blue.mean(1, keepdim=True), reach=2)
    assert both > 1
    assert grey == pytest.approx(0, abs=1e-5)


def test_equal_and_blank_images_are_at_no_distance() -> None:
    images = DIGITS[:4]
    torch.testing.assert_close(deformation_distance(images, images), torch.zeros(4), atol=1e-2, rtol=0)
    blank = torch.ones(12, 1, 8, 8) * 0
    positions, found = deformation_neighbours(blank, 2)
    assert not found.any()
    assert (positions != torch.arange(12)[:, None]).all()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"images": torch.zeros(5, 8, 8)}, r"\(N, C, H, W\)"),
        ({"images": torch.zeros(0, 1, 8, 8)}, r"\(N, C, H, W\)"),
        ({"images": torch.full((5, 1, 8, 8), torch.nan)}, "finite"),
        ({"num": 5}, r"1\.\.4"),
        ({"num": 0}, r"1\.\.4"),
        ({"reach": -1}, "negative"),
        ({"reach": 1.0}, "whole"),
    ],
)
def test_bad_input(change: dict[str, object], message: str) -> None:
    arguments = {"images": torch.rand(5, 1, 8, 8), "num": 2, "reach": 1}
    with pytest.raises(ValueError, match=message):
        deformation_neighbours(**(arguments | change))  # type: ignore[arg-type]


def test_pairs_of_two_shapes_are_refused() -> None:
    with pytest.raises(ValueError, match="pairs of one shape"):
        deformation_distance(torch.zeros(2, 1, 8, 8), torch.zeros(3, 1, 8, 8))
