"""Judges of known skill or known preferences: to plan a study, and to see that a report finds what was put in.

Of known skill: judge j sees real and generated pictures d'_j apart and says "generated" beyond a criterion c_j
(equal-variance signal detection): d'_j ~ N(d', s_d^2), c_j ~ N(c, s_c^2). With the mean evidence of a kind of picture
at m, judges say "generated" to it at the rate Phi((m - c) / sqrt(1 + s_d^2/4 + s_c^2)), exactly, so each figure of the
report has a true value. The real pictures are the same for all models, so their false alarm rate F = 1 - (mean of the
accuracies a), and a model has H = 2 a - 1 + F.

Of known preferences: judge j has a score for each model, theta_ij ~ N(theta_i, spread^2), and answers by Davidson's
model (`bradley_terry`). Averaged over judges that is no longer exactly a Bradley-Terry model, so the true scores are
those that fit the judges' average answers in an endless study (`true_scores`).
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import combinations
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr, ndtri

from improved_gan.turing_test.bradley_terry import fit_davidson, informative_pairs, outcome_probabilities
from improved_gan.turing_test.errors import TuringTestError
from improved_gan.turing_test.figures import model_figures
from improved_gan.turing_test.preferences import Preferences
from improved_gan.turing_test.ranking import rank_models
from improved_gan.turing_test.signal_detection import sensitivity_of_three
from improved_gan.turing_test.votes import REAL, Votes

__all__ = ["Population", "coverage", "preference_coverage", "simulate", "simulate_preferences", "true_scores"]


@dataclass(frozen=True)
class Population:
    """Whom the judges are drawn from.

    Args:
        accuracy: for each model the mean accuracy at zero bias, between 0 and 1; the paper: 0.524, 0.787.
        criterion: mean bias c; above 0 is slow to say "generated".
        skill_spread: standard deviation of d' over judges.
        criterion_spread: standard deviation of c over judges.
        feedback_gain: what feedback adds to d' from the first to the last trial of that arm.
        median_ms: median response time in milliseconds.

    Raises:
        TuringTestError: an accuracy outside 0 to 1, or a negative spread.

    Example:
        >>> people = Population({"dcgan": 0.787})
        >>> round(people.true_accuracy("dcgan"), 3), round(people.true_sensitivity("dcgan"), 2)
        (0.787, 1.59)
    """

    accuracy: Mapping[str, float] = field(default_factory=lambda: MappingProxyType({"generated": 0.7}))
    criterion: float = 0.0
    skill_spread: float = 0.4
    criterion_spread: float = 0.3
    feedback_gain: float = 0.0
    median_ms: float = 900.0

    def __post_init__(self) -> None:
        for name, value in self.accuracy.items():
            if not 0 < value < 1 or name == REAL or not name:
                raise TuringTestError(f"a model needs a name and an accuracy between 0 and 1, not {name!r}: {value}")
        mean = float(np.mean(list(self.accuracy.values()))) if self.accuracy else 0.5
        if any(not 0 < 2 * one - mean < 1 for one in self.accuracy.values()):
            raise TuringTestError(
                "accuracies this far apart are impossible with the same real pictures: choose closer ones"
            )
        if not self.accuracy or min(self.skill_spread, self.criterion_spread) < 0 or not self.median_ms > 0:
            raise TuringTestError("a population needs a model, spreads of 0 or more, and a response time above 0")

    @property
    def root(self) -> float:
        """sqrt(1 + s_d^2/4 + s_c^2): the noise of a random judge's decision."""
        return float(np.sqrt(1 + self.skill_spread**2 / 4 + self.criterion_spread**2))

    def centers(self) -> dict[str, float]:
        """The mean evidence for "generated" of each kind of picture, real ones included."""
        mean = float(np.mean(list(self.accuracy.values())))
        rates = {REAL: 1 - mean} | {name: 2 * one - mean for name, one in self.accuracy.items()}
        return {name: float(self.root * ndtri(one)) for name, one in rates.items()}

    def true_rates(self, model: str, *, judges: int = 2, trials: int = 50) -> tuple[float, float]:
        """Hit rate and false alarm rate over all judges and trials, the bias and what feedback adds included."""
        centers, share = self.centers(), (judges + 1) // 2 / judges  # every second judge, the first among them
        learned = self.feedback_gain / 2 * np.linspace(0, 1, trials)

        def rate(name: str, sign: int) -> float:
            with_gain, without = (
                ndtr((centers[name] - self.criterion + one) / self.root).mean() for one in (sign * learned, np.zeros(1))
            )
            return float(share * with_gain + (1 - share) * without)

        return rate(model, 1), rate(REAL, -1)

    def true_accuracy(self, model: str, *, judges: int = 2, trials: int = 50, design: str = "yes_no") -> float:
        """(H + 1 - F) / 2 over all judges, the bias included; odd_one_out: the share that finds the generated one.

        With three pictures that is E[Phi(x)^2], x normal around the models' distance with variance 1 + s_d^2.
        """
        _check_design(design)
        if design == "odd_one_out":
            centers, share = self.centers(), (judges + 1) // 2 / judges
            learned = self.feedback_gain * np.linspace(0, 1, trials)
            nodes, weights = np.polynomial.hermite_e.hermegauss(80)
            noise = np.sqrt(1 + self.skill_spread**2) * nodes
            apart = centers[model] - centers[REAL] + np.stack([learned, 0 * learned])[..., None] + noise
            found = (ndtr(apart) ** 2 @ weights / weights.sum()).mean(-1)
            return float(share * found[0] + (1 - share) * found[1])
        hit, false_alarm = self.true_rates(model, judges=judges, trials=trials)
        return (hit + 1 - false_alarm) / 2

    def true_sensitivity(self, model: str, *, judges: int = 2, trials: int = 50, design: str = "yes_no") -> float:
        """The d' of pooled rates, z(H) - z(F), which the report estimates; odd_one_out: that of the pooled share."""
        if design == "odd_one_out":
            share = self.true_accuracy(model, judges=judges, trials=trials, design=design)
            return float(sensitivity_of_three(share * 1e9, 1e9))
        hit, false_alarm = self.true_rates(model, judges=judges, trials=trials)
        return float(ndtri(hit) - ndtri(false_alarm))


def simulate(
    population: Population,
    *,
    judges: int,
    trials: int,
    seed: int = 0,
    prevalence: float = 0.5,
    pictures: int = 200,
    design: str = "yes_no",
) -> Votes:
    """A study of `judges` x `trials` main votes; every second judge is in the feedback arm.

    Args:
        population: whom the judges are drawn from.
        judges: how many.
        trials: of each judge.
        seed: decides everything.
        prevalence: probability that a trial shows a generated picture; the models take turns.
        pictures: in each condition.
        design: yes_no, or odd_one_out: each judge picks the one of three pictures that looks most generated.

    Raises:
        TuringTestError: no judge, no trial, or a prevalence outside 0 to 1.

    Example:
        >>> votes = simulate(Population({"dcgan": 0.787}), judges=100, trials=100)
        >>> len(votes), bool(abs(votes.correct.mean() - 0.787) < 0.03)
        (10000, True)
    """
    _check_design(design)
    if judges < 1 or trials < 1 or pictures < 1 or not 0 <= prevalence <= 1:
        raise TuringTestError("a simulation needs a judge, a trial, a picture, and a prevalence in 0 to 1")
    generator = np.random.default_rng(seed)
    names = np.array([REAL, *population.accuracy])
    model = np.stack([_plan(len(names) - 1, trials, prevalence, generator) for _ in range(judges)])
    centers = np.array([population.centers()[name] for name in names.tolist()])
    skill = generator.normal(0, population.skill_spread, (judges, 1))
    criterion = population.criterion + generator.normal(0, population.criterion_spread, (judges, 1))
    feedback = (np.arange(judges) % 2 == 0)[:, None]
    learned = population.feedback_gain * feedback * np.linspace(0, 1, trials)[None]
    evidence = centers[model] + np.where(model > 0, 0.5, -0.5) * (skill + learned)
    evidence = evidence + generator.normal(size=model.shape)
    said, is_odd = evidence > criterion, design == "odd_one_out"
    if is_odd:  # the generated one against the larger of two real ones, d'_j and what was learned apart
        model = 1 + (np.arange(trials)[None] + np.arange(judges)[:, None]) % (len(names) - 1)
        apart = centers[model] - centers[0] + skill + learned
        said = apart + generator.normal(size=model.shape) > generator.normal(size=(2, *model.shape)).max(0)
    picture = generator.integers(pictures, size=model.shape) + pictures * model
    times = population.median_ms * np.exp(generator.normal(0, 0.35, model.shape))
    prevalence = float("nan") if is_odd else prevalence
    return _table(names[model], picture, said, times, design=design, prevalence=prevalence)


def _table(
    model: NDArray[np.str_], picture: NDArray[np.int64], said: NDArray[np.bool_], times: NDArray[np.float64], *,
    design: str, prevalence: float,
) -> Votes:  # fmt: skip
    """Votes from arrays (judges, trials)."""
    judges, trials = model.shape
    num = judges * trials
    empty = np.full(num, np.nan)
    return Votes(
        judge=np.repeat(np.arange(judges), trials),
        arm=np.repeat(np.where(np.arange(judges) % 2 == 0, "feedback", "no_feedback"), trials),
        design=np.full(num, design),
        kind=np.full(num, "main"),
        trial=np.tile(np.arange(trials), judges),
        model=model.ravel(),
        picture=picture.ravel(),
        partner=np.full(num, -1),
        signal=(model != REAL).ravel(),
        response=said.ravel(),
        rating=empty.copy(),
        response_ms=times.ravel(),
        exposure_ms=empty.copy(),
        shown_ms=empty,
        answered_at=np.full(num, ""),
        prevalence=np.full(num, prevalence),
        target=np.full(num, -1),
        chosen=np.full(num, -1),
        prompt=np.full(num, ""),
    )


def _check_design(design: str) -> None:
    if design not in ("yes_no", "odd_one_out"):
        raise TuringTestError(f"yes_no and odd_one_out are simulated here, not {design!r}")


def _plan(num_models: int, trials: int, prevalence: float, generator: np.random.Generator) -> NDArray[np.int64]:
    """Which condition each trial of a judge shows, drawn as `plan` draws it: 0 real, then the models in turn."""
    generated = int(generator.binomial(trials, prevalence))
    plan = np.concatenate([1 + np.arange(generated) % num_models, np.zeros(trials - generated, dtype=int)])
    return generator.permutation(plan)


def coverage(
    population: Population, *, judges: int, trials: int, studies: int = 500, seed: int = 0, design: str = "yes_no"
) -> dict[str, float]:
    """How often the report's 95% intervals hold the truth, over many studies: accuracy and d' of the first model.

    Example:
        >>> sorted(coverage(Population(), judges=10, trials=10, studies=2))
        ['accuracy', 'sensitivity']
    """
    model = next(iter(population.accuracy))
    held = {"accuracy": 0, "sensitivity": 0}
    accuracy = population.true_accuracy(model, judges=judges, trials=trials, design=design)
    sensitivity = population.true_sensitivity(model, judges=judges, trials=trials, design=design)
    for own in np.random.SeedSequence(seed).generate_state(studies).tolist():  # shared with no other seed
        votes = simulate(population, judges=judges, trials=trials, seed=own, design=design)
        figures = model_figures(votes, model)
        held["accuracy"] += figures.accuracy.contains(accuracy)
        held["sensitivity"] += figures.sensitivity.contains(sensitivity)
    return {name: count / studies for name, count in held.items()}


def true_scores(scores: Mapping[str, float], *, log_tie: float = -1.0, spread: float = 0.5) -> dict[str, float]:
    """The scores that an endless study of such judges, all pairs alike often, would find; their mean is 0.

    The difference of two models' scores over judges is N(theta_i - theta_j, 2 spread^2), summed by Gauss and Hermite.

    Example:
        >>> {name: round(value, 2) for name, value in true_scores({"a": 1.0, "b": 0.0}, spread=0).items()}
        {'a': 0.5, 'b': -0.5}
    """
    _check(scores, spread)
    names = sorted(scores)
    pairs = np.array(list(combinations(range(len(names)), 2)))
    theta = np.array([scores[name] for name in names])
    nodes, weights = np.polynomial.hermite_e.hermegauss(60)
    shifted = (theta[pairs[:, 0]] - theta[pairs[:, 1]])[:, None] + np.sqrt(2) * spread * nodes
    expected = (outcome_probabilities(shifted, log_tie) * (weights / weights.sum())[:, None]).sum(1)
    return dict(zip(names, fit_davidson(expected, pairs, prior_std=1e6).scores.tolist(), strict=True))


def simulate_preferences(
    scores: Mapping[str, float],
    *,
    judges: int,
    trials: int,
    log_tie: float = -1.0,
    spread: float = 0.5,
    adaptive: bool = False,
    seed: int = 0,
) -> Preferences:
    """A study of pairs: `judges` x `trials` answers.

    Args:
        scores: theta of each model.
        judges: how many.
        trials: comparisons of each judge.
        log_tie: eta, how often neither is preferred; -inf: never.
        spread: standard deviation of a model's score over judges.
        adaptive: choose pairs by the answers of the judges before; else all pairs alike often.
        seed: decides everything.

    Raises:
        TuringTestError: fewer than two models, no judge, no trial, or a spread below 0.

    Example:
        >>> len(simulate_preferences({"a": 0.5, "b": 0.0}, judges=10, trials=20))
        200
    """
    _check(scores, spread)
    if judges < 1 or trials < 1:
        raise TuringTestError("a simulation needs a judge and a trial")
    generator, names = np.random.default_rng(seed), np.array(sorted(scores))
    pairs = np.array(list(combinations(range(len(names)), 2)))
    own = np.array([scores[name] for name in names.tolist()]) + generator.normal(0, spread, (judges, len(names)))
    shown, outcome = np.zeros((judges, trials), dtype=int), np.zeros((judges, trials), dtype=int)
    counts = np.zeros((len(pairs), 3))
    for judge in range(judges):
        if adaptive:
            shown[judge] = informative_pairs(counts, pairs, trials, generator)
        else:
            turns = (np.arange(trials) + judge * trials) % len(pairs)
            shown[judge] = generator.permutation(turns)
        one, two = pairs[shown[judge]].T
        probabilities = outcome_probabilities(own[judge, one] - own[judge, two], log_tie)
        outcome[judge] = (generator.random((trials, 1)) > probabilities.cumsum(-1)[:, :2]).sum(-1)
        np.add.at(counts, (shown[judge], outcome[judge]), 1)
    swapped = generator.random(judges * trials) < 0.5
    first, second = names[pairs[shown.ravel()]].T
    words = np.where(swapped[:, None], ["right", "left", "tie"], ["left", "right", "tie"])
    num = judges * trials
    return Preferences(
        judge=np.repeat(np.arange(judges), trials), kind=np.full(num, "main"), trial=np.tile(np.arange(trials), judges),
        question=np.full(num, "preference"), prompt=np.full(num, ""), left=np.where(swapped, second, first),
        right=np.where(swapped, first, second), left_picture=np.full(num, -1), right_picture=np.full(num, -1),
        outcome=words[np.arange(num), outcome.ravel()], response_ms=900 * np.exp(generator.normal(0, 0.35, num)),
        answered_at=np.full(num, ""),
    )  # fmt: skip


def preference_coverage(
    scores: Mapping[str, float],
    *,
    judges: int,
    trials: int,
    studies: int = 500,
    adaptive: bool = False,
    spread: float = 0.5,
    seed: int = 0,
) -> dict[str, float]:
    """How often the 95% interval of each model's score holds the true one, over many studies.

    Example:
        >>> sorted(preference_coverage({"a": 0.5, "b": 0.0}, judges=5, trials=5, studies=2))
        ['a', 'b']
    """
    truth = true_scores(scores, spread=spread)
    held = dict.fromkeys(truth, 0)
    for own in np.random.SeedSequence(seed).generate_state(studies).tolist():
        table = simulate_preferences(scores, judges=judges, trials=trials, adaptive=adaptive, spread=spread, seed=own)
        for one in rank_models(table).models:
            held[one.model] += one.score.contains(truth[one.model])
    return {name: count / studies for name, count in held.items()}


def _check(scores: Mapping[str, float], spread: float) -> None:
    if len(scores) < 2 or not all(np.isfinite(one) and abs(one) <= 20 for one in scores.values()) or spread < 0:
        raise TuringTestError("preferences need two models, scores between -20 and 20, and a spread of 0 or more")
