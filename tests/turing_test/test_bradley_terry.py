from itertools import combinations

import choix
import numpy as np
import pytest
from scipy.optimize import minimize

from improved_gan.turing_test.bradley_terry import fit_davidson, informative_pairs, outcome_probabilities
from improved_gan.turing_test.errors import TuringTestError

PAIRS = np.array(list(combinations(range(4), 2)))


def drawn(seed: int, *, ties: bool) -> np.ndarray:
    counts = np.random.default_rng(seed).integers(1, 30, (len(PAIRS), 3)).astype(float)
    counts[:, 2] *= ties
    return counts


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_without_ties_it_is_the_fit_of_choix(seed: int) -> None:
    """choix takes alpha times the squared scores off the log likelihood, and the prior 1 / (2 prior_std^2) times."""
    counts = drawn(seed, ties=False)
    data = [(i, j) for (i, j), (one, _, _) in zip(PAIRS.tolist(), counts, strict=True) for _ in range(int(one))]
    data += [(j, i) for (i, j), (_, two, _) in zip(PAIRS.tolist(), counts, strict=True) for _ in range(int(two))]
    expected = choix.opt_pairwise(4, data, alpha=1 / 18)
    assert fit_davidson(counts, PAIRS, prior_std=3.0).scores == pytest.approx(expected - expected.mean(), abs=1e-5)


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_with_ties_it_is_the_maximum_that_scipy_finds(seed: int) -> None:
    """The likelihood written out as Davidson (1970) has it: pi_i, pi_j and nu sqrt(pi_i pi_j) over their sum."""
    counts = drawn(seed, ties=True)

    def loss(x: np.ndarray) -> float:
        pi, nu, total = np.exp(x[:4]), np.exp(x[4]), 0.0
        for (i, j), (one, two, tie) in zip(PAIRS, counts, strict=True):
            third = nu * np.sqrt(pi[i] * pi[j])
            whole = pi[i] + pi[j] + third
            total -= one * np.log(pi[i] / whole) + two * np.log(pi[j] / whole) + tie * np.log(third / whole)
        return float(total + (x**2).sum() / 18)

    expected = minimize(loss, np.zeros(5), tol=1e-12).x
    found = fit_davidson(counts, PAIRS, prior_std=3.0)
    assert found.scores == pytest.approx(expected[:4] - expected[:4].mean(), abs=1e-4)
    assert found.log_tie == pytest.approx(expected[4], abs=1e-4)


def test_a_batch_is_its_members_and_labels_do_not_matter() -> None:
    batch = np.stack([drawn(seed, ties=True) for seed in range(3)])
    together = fit_davidson(batch, PAIRS)
    for k in range(3):
        assert together.scores[k] == pytest.approx(fit_davidson(batch[k], PAIRS).scores, abs=1e-9)
    swapped = fit_davidson(batch[0][:, [1, 0, 2]], PAIRS[:, ::-1])
    assert swapped.scores == pytest.approx(together.scores[0], abs=1e-9)


def test_who_wins_everything_has_a_finite_score() -> None:
    scores = fit_davidson([[500, 0, 0]], [[0, 1]]).scores
    assert 3 < scores[0] - scores[1] < 15


def test_probabilities_sum_to_one_and_wrong_shapes_are_told() -> None:
    assert outcome_probabilities([-50.0, 0.0, 50.0], 1.0).sum(-1) == pytest.approx(1)
    for counts, words in (([[1, 2]], "shapes"), ([[1, -2, 0]], "0 or more"), ([[1, np.nan, 0]], "0 or more")):
        with pytest.raises(TuringTestError, match=words):
            fit_davidson(counts, [[0, 1]])


def test_informative_pairs_prefer_close_models_and_leave_none_out() -> None:
    """Of 4 models two are far ahead: pairs within the halves say more than those across."""
    counts = np.array([[10, 10, 0], [20, 0, 0], [20, 0, 0], [20, 0, 0], [20, 0, 0], [10, 10, 0]])
    chosen = informative_pairs(counts, PAIRS, 600, np.random.default_rng(0))
    shown = np.bincount(chosen, minlength=6)
    assert shown[[0, 5]].min() > shown[1:5].max()
    assert shown.min() >= 10
