import numpy as np
import pytest

from improved_gan.data import DataError
from improved_gan.data.image_sizes import choose_size


def sides(**counts: int) -> np.ndarray:
    return np.concatenate([np.full(count, int(side[1:])) for side, count in counts.items()])


@pytest.mark.parametrize(
    ("given", "size", "small"),
    [
        (sides(s500=10), 128, 0),
        (sides(s128=9, s127=1), 128, 1),
        (sides(s128=8, s127=2), 64, 0),
        (sides(s32=10), 32, 0),
        (sides(s28=10), 32, 10),
    ],
)
def test_the_largest_size_that_nine_of_ten_images_have(given: np.ndarray, size: int, small: int) -> None:
    found, notices = choose_size(given, None)
    assert found == size
    assert [notice.split()[0] for notice in notices] == ([str(small)] if small else [])


def test_a_size_that_was_asked_for() -> None:
    assert choose_size(sides(s500=10), 32) == (32, [])
    with pytest.raises(DataError, match=r"1 of 10 images are smaller than 64 .*smallest has 60\): take --size 32"):
        choose_size(sides(s60=1, s500=9), 64)
    with pytest.raises(DataError, match=r"16 of 40 images are smaller than 64 .*smallest has 16\): remove them"):
        choose_size(sides(s16=16, s500=24), 64)
    with pytest.raises(DataError, match=r"40 of 40 images are smaller than 32 .*smallest has 16\): remove them"):
        choose_size(sides(s16=40), 32)
    with pytest.raises(DataError, match="trained on at 32, 64, 128 pixels a side; got 48"):
        choose_size(sides(s60=6), 48)


def test_a_recipe_that_has_one_size_may_enlarge_a_few() -> None:
    assert choose_size(sides(s60=1, s500=9), 128, enlarge_few=True) == (
        128,
        ["1 images are smaller than 128 pixels (the smallest has 60) and are enlarged"],
    )
    with pytest.raises(DataError, match="2 of 10 images are smaller than 128"):
        choose_size(sides(s60=2, s500=8), 128, enlarge_few=True)
