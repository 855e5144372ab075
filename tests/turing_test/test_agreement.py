import numpy as np
import pytest

from improved_gan.turing_test.agreement import krippendorff_alpha, picture_figures
from improved_gan.turing_test.votes import votes_from_rows


def test_krippendorffs_own_examples() -> None:
    """Krippendorff (2011), Computing Krippendorff's Alpha-Reliability: A (binary) 0.095, C (nominal, gaps) 0.743."""
    meg, owen = [0, 1, 0, 0, 0, 0, 0, 0, 1, 0], [1, 1, 1, 0, 0, 1, 0, 0, 0, 0]
    assert krippendorff_alpha([*range(10)] * 2, meg + owen) == pytest.approx(0.095, abs=5e-4)
    cells = [
        (unit, value)
        for row in (
            "1 2 3 3 2 1 4 1 2 . . .",
            "1 2 3 3 2 2 4 1 2 5 . 3",
            ". 3 3 3 2 3 4 2 2 5 1 .",
            "1 2 3 3 2 4 4 1 2 5 1 .",
        )
        for unit, value in enumerate(row.split())
        if value != "."
    ]
    assert krippendorff_alpha(*zip(*cells, strict=True)) == pytest.approx(0.743, abs=5e-4)


def test_guessing_is_about_zero_and_nothing_to_compare_is_no_number() -> None:
    generator = np.random.default_rng(0)
    assert abs(krippendorff_alpha(generator.integers(0, 500, 5000), generator.integers(0, 2, 5000))) < 0.05
    assert np.isnan(krippendorff_alpha([1, 2, 3], [0, 1, 0]))
    assert np.isnan(krippendorff_alpha([1, 1], [1, 1]))
    assert np.isnan(krippendorff_alpha([], []))


def test_pictures_count_both_of_a_pair() -> None:
    pair = {"design": "two_alternative", "model": "g", "picture": 7, "partner": 3, "signal": 1}
    rows = [{"judge": j, "response": int(j == 0), **pair} for j in range(4)]
    found = {(one.picture, one.model): (one.votes, one.wrong) for one in picture_figures(votes_from_rows(rows))}
    assert found == {(7, "g"): (4, 3), (3, "real"): (4, 3)}


def test_votes_about_unknown_pictures_are_about_no_picture() -> None:
    rows = [
        {"judge": j, "signal": k % 2, "response": 1, "picture": -1 if k < 4 else k} for j in (0, 1) for k in range(6)
    ]
    found = picture_figures(votes_from_rows(rows))
    assert {one.picture for one in found} == {4, 5}
