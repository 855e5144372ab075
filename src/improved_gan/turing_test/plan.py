"""What one judge will see: kinds and order of the trials, drawn at random and balanced; which arm the judge is in."""

from dataclasses import dataclass

import numpy as np

from improved_gan.turing_test.settings import StudySettings
from improved_gan.turing_test.votes import REAL

__all__ = ["CHECK", "PlannedTrial", "assign_arm", "plan_trials"]

CHECK = "check"  # the `model` of a blatantly false picture


@dataclass(frozen=True)
class PlannedTrial:
    """A trial before its pictures are dealt: `conditions` from left to right, and which answer is right."""

    kind: str
    model: str
    conditions: tuple[str, ...]
    signal: bool


def assign_arm(settings: StudySettings, *, seed: int, number: int) -> str:
    """The arm of judge `number` (from 0): random within blocks of twice the number of arms, so groups stay equal.

    Example:
        >>> arms = [assign_arm(StudySettings(), seed=1, number=number) for number in range(40)]
        >>> arms.count("feedback")
        20
    """
    arms = settings.arms * 2
    block, place = divmod(number, len(arms))
    order: list[int] = np.random.default_rng((seed, 1, block)).permutation(len(arms)).tolist()
    return arms[order[place]]


def plan_trials(settings: StudySettings, models: list[str], *, seed: int, number: int) -> list[PlannedTrial]:
    """The trials of judge `number`: practice first, then main trials and checks in random order.

    Models take turns, and which of them has one trial more rotates with the judge's number. In pairs the real picture
    is as often on the right as on the left.

    Example:
        >>> plan = plan_trials(StudySettings(trials=10, practice=2, checks=1), ["dcgan"], seed=1, number=0)
        >>> len(plan), sum(one.signal for one in plan if one.kind == "main")
        (13, 5)
    """
    generator = np.random.default_rng((seed, 2, number))
    turned = models[number % len(models) :] + models[: number % len(models)]

    def make(kind: str, count: int) -> list[PlannedTrial]:
        if settings.in_pairs:
            sides = generator.permutation([(k + number) % 2 == 0 for k in range(count)])
            names = [turned[k % len(turned)] for k in range(count)]
            return [_pair(kind, name, bool(right)) for name, right in zip(names, sides, strict=True)]
        num_generated = _round_at_random(count * settings.prevalence, generator)
        names = [turned[k % len(turned)] for k in range(num_generated)] + [REAL] * (count - num_generated)
        return [PlannedTrial(kind, name, (name,), name != REAL) for name in names]

    practice, main = make("practice", settings.practice), make("main", settings.trials)
    for _ in range(settings.checks):
        pair = _pair("check", CHECK, bool(generator.integers(2)))
        main.append(pair if settings.in_pairs else PlannedTrial("check", CHECK, (CHECK,), True))
    return [group[k] for group in (practice, main) for k in generator.permutation(len(group))]


def _pair(kind: str, model: str, real_on_the_right: bool) -> PlannedTrial:
    return PlannedTrial(kind, model, (model, REAL) if real_on_the_right else (REAL, model), real_on_the_right)


def _round_at_random(number: float, generator: np.random.Generator) -> int:
    """Up or down, so that the mean is the number; both kinds of picture appear where there is room."""
    return int(np.floor(number + (0 if number == int(number) else generator.random())))
