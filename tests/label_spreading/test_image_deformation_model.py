import pytest
import torch
from sklearn.datasets import load_digits

from improved_gan.label_spreading import idm_distance, idm_neighbors, label_spreading

DIGITS = torch.from_numpy(load_digits().images).float()[:, None]
CLASSES = torch.from_numpy(load_digits().target).long()


def test_neighbors_are_nearly_those_of_all_pairs() -> None:
    images = DIGITS[:150]
    rows = torch.arange(150)
    pairs = [images[one].flatten(0, 1) for one in (rows.repeat_interleave(150), rows.repeat(150))]
    table = (
        idm_distance(pairs[0][:, None], pairs[1][:, None], max_displacement=1).view(150, 150).fill_diagonal_(torch.inf)
    )
    wanted = table.topk(5, largest=False).values
    positions, found = idm_neighbors(images, 5, max_displacement=1)
    torch.testing.assert_close(table.gather(1, positions), found, atol=1e-3, rtol=1e-4)
    assert (found <= wanted[:, -1:] * (1 + 1e-4)).float().mean() > 0.99


def test_more_of_them_are_of_the_same_class_than_of_neighbors_in_pixels() -> None:
    near = torch.cdist(DIGITS.flatten(1), DIGITS.flatten(1)).fill_diagonal_(torch.inf).topk(10, largest=False).indices
    bent, _ = idm_neighbors(DIGITS, 10, max_displacement=1)
    wrong = [(CLASSES[found] != CLASSES[:, None]).float().mean().item() for found in (near, bent)]
    assert wrong[1] < 0.8 * wrong[0]


def test_labels_spread_over_them() -> None:
    labels = torch.full_like(CLASSES, -1)
    for one in range(10):
        labels[(one == CLASSES).nonzero().flatten()[:5]] = one
    wrong = [
        (label_spreading(DIGITS, labels, neighbors=neighbors).argmax(1) != CLASSES).float().mean().item()
        for neighbors in (None, idm_neighbors(DIGITS, 10, max_displacement=1))
    ]
    assert wrong[1] < 0.8 * wrong[0]


def test_scale_and_dtype_do_not_matter_to_neighbors() -> None:
    images = DIGITS[:100]
    expected, _ = idm_neighbors(images, 3)
    for same in (images.to(torch.uint8), 7 * images.double(), images.half(), 1e34 * images, 1e-30 * images):
        assert (idm_neighbors(same, 3)[0] == expected).float().mean() > 0.99


def test_colors_count_each() -> None:
    red, blue = torch.zeros(2, 1, 3, 6, 6)
    red[0, 0, :, 2] = 1
    blue[0, 2, :, 2] = 1
    both = idm_distance(red, blue, max_displacement=2)
    gray = idm_distance(red.mean(1, keepdim=True), blue.mean(1, keepdim=True), max_displacement=2)
    assert both > 1
    assert gray == pytest.approx(0, abs=1e-5)


def test_equal_and_blank_images_are_at_no_distance() -> None:
    images = DIGITS[:4]
    torch.testing.assert_close(idm_distance(images, images), torch.zeros(4), atol=1e-2, rtol=0)
    blank = torch.ones(12, 1, 8, 8) * 0
    positions, found = idm_neighbors(blank, 2)
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
        ({"max_displacement": -1}, "negative"),
        ({"max_displacement": 1.0}, "whole"),
    ],
)
def test_bad_input(change: dict[str, object], message: str) -> None:
    arguments = {"images": torch.rand(5, 1, 8, 8), "num": 2, "max_displacement": 1}
    with pytest.raises(ValueError, match=message):
        idm_neighbors(**(arguments | change))  # type: ignore[arg-type]


def test_pairs_of_two_shapes_are_refused() -> None:
    with pytest.raises(ValueError, match="pairs of one shape"):
        idm_distance(torch.zeros(2, 1, 8, 8), torch.zeros(3, 1, 8, 8))
