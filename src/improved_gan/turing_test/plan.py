"""What one judge will see: kinds and order of the trials, drawn at random; which arm the judge is in.

Each trial's kind (in pairs: side) is drawn on its own. Were the numbers of a session fixed, a judge who gets feedback
could count, and would be right in 58% of 50 trials without looking at a picture (`counting`).

All is drawn from the secret of the study beside its seed, so that pictures, settings, seed and a judge's number do not
tell the right answers.
"""

import hmac
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


def assign_arm(settings: StudySettings, *, secret: bytes, seed: int, number: int) -> str:
    """The arm of judge `number` (from 0): random within blocks of twice the number of arms, so groups stay equal.

    Example:
        >>> arms = [assign_arm(StudySettings(), secret=b"key", seed=1, number=number) for number in range(40)]
        >>> arms.count("feedback")
        20
    """
    arms = settings.arms * 2
    block, place = divmod(number, len(arms))
    order: list[int] = _generator(secret, seed, "arms", block).permutation(len(arms)).tolist()
    return arms[order[place]]


def plan_trials(
    settings: StudySettings, models: list[str], *, secret: bytes, seed: int, number: int
) -> list[PlannedTrial]:
    """The trials of judge `number`: practice first, then main trials and checks in random order.

    Each trial is generated with probability `prevalence`, in pairs the real picture is on the right with probability
    1/2, whatever the other trials are. Models take turns, and which of them has one trial more rotates with the judge's
    number. With `kinds="fixed"` every session has the same numbers of each.

    Example:
        >>> settings = StudySettings(trials=10, practice=2, checks=1)
        >>> plan = plan_trials(settings, ["dcgan"], secret=b"key", seed=1, number=0)
        >>> [sum(one.kind == kind for one in plan) for kind in ("practice", "main", "check")]
        [2, 10, 1]
    """
    generator = _generator(secret, seed, "trials", number)
    turned = models[number % len(models) :] + models[: number % len(models)]

    def make(kind: str, count: int) -> list[PlannedTrial]:
        if settings.in_pairs:
            sides = generator.random(count) < 0.5
            if settings.kinds == "fixed":
                sides = generator.permutation([(k + number) % 2 == 0 for k in range(count)])
            names = [turned[k % len(turned)] for k in range(count)]
            return [_pair(kind, name, bool(right)) for name, right in zip(names, sides, strict=True)]
        num_generated = int(generator.binomial(count, settings.prevalence))  # the order is drawn below
        if settings.kinds == "fixed":
            num_generated = _round_at_random(count * settings.prevalence, generator)
        names = [turned[k % len(turned)] for k in range(num_generated)] + [REAL] * (count - num_generated)
        return [PlannedTrial(kind, name, (name,), name != REAL) for name in names]

    practice, main = make("practice", settings.practice), make("main", settings.trials)
    for _ in range(settings.checks):
        pair = _pair("check", CHECK, bool(generator.integers(2)))
        main.append(pair if settings.in_pairs else PlannedTrial("check", CHECK, (CHECK,), True))
    return [group[k] for group in (practice, main) for k in generator.permutation(len(group))]


def _generator(secret: bytes, seed: int, purpose: str, number: int) -> np.random.Generator:
    """Random numbers that nobody without the secret can draw again (HMAC-SHA-256)."""
    digest = hmac.digest(secret, f"plan\0{purpose}\0{seed}\0{number}".encode(), "sha256")
    return np.random.default_rng(int.from_bytes(digest, "big"))


def _pair(kind: str, model: str, real_on_the_right: bool) -> PlannedTrial:
    return PlannedTrial(kind, model, (model, REAL) if real_on_the_right else (REAL, model), real_on_the_right)


def _round_at_random(number: float, generator: np.random.Generator) -> int:
    """Up or down, so that the mean is the number; both kinds of picture appear where there is room."""
    return int(np.floor(number + (0 if number == int(number) else generator.random())))
