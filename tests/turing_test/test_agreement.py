import numpy as np
import pytest

from improved_gan.turing_test.agreement import krippendorff_alpha


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
