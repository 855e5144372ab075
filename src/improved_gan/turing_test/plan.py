"""The plan of one judge: kinds and order of the trials, drawn at random, and the arm.

Each trial's kind (in pairs: side) is drawn on its own. Were the numbers of a session fixed, a judge who gets feedback
could count, and would be right in 58% of 50 trials without looking at a picture (`counting`).

All is drawn from the secret of the study beside its seed, so that pictures, settings, seed and a judge's number do not
tell the right answers.
"""

import hmac
import itertools
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from improved_gan.turing_test.bradley_terry import informative_pairs
from improved_gan.turing_test.settings import StudySettings
from improved_gan.turing_test.votes import CHECK, REAL

__all__ = ["PlannedTrial", "assign_arm", "assign_model", "plan_comparisons", "plan_trials"]


@dataclass(frozen=True)
class PlannedTrial:
    """A trial before its pictures are dealt: `conditions` from left to right, and which answer is right.

    `other_model`: preference, of the right picture. `question`: preference, its name; `is_repeated`: another question
    about the pictures of the trial before. `target`: odd-one-out, where the generated one stands, 1 to 3.
    """

    kind: str
    model: str
    conditions: tuple[str, ...]
    signal: bool
    other_model: str | None = None
    question: str | None = None
    target: int | None = None
    is_repeated: bool = False


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
    if settings.design == "odd_one_out":
        practice, main = (_triplets(kind, count, turned, generator)
                          for kind, count in (("practice", settings.practice), ("main", settings.trials)))  # fmt: skip
        main += _triplets("check", settings.checks, [CHECK], generator)
    else:
        practice = _ordinary(settings, "practice", settings.practice, turned, number, generator)
        main = _ordinary(settings, "main", settings.trials, turned, number, generator)
        for _ in range(settings.checks):
            pair = _pair("check", CHECK, bool(generator.integers(2)))
            main.append(pair if settings.in_pairs else PlannedTrial("check", CHECK, (CHECK,), True))
    return [group[k] for group in (practice, main) for k in generator.permutation(len(group))]


def _ordinary(
    settings: StudySettings, kind: str, count: int, turned: list[str], number: int, generator: np.random.Generator
) -> list[PlannedTrial]:
    """Trials of one picture, or of a real one beside a generated one."""
    if settings.in_pairs:
        sides = generator.random(count) < 0.5
        if settings.kinds == "fixed":
            sides = generator.permutation([(k + number) % 2 == 0 for k in range(count)])
        names = [turned[k % len(turned)] for k in range(count)]
        return [_pair(kind, name, bool(right)) for name, right in zip(names, sides, strict=True)]
    num_generated = int(generator.binomial(count, settings.prevalence))  # the order is drawn by the caller
    if settings.kinds == "fixed":
        num_generated = _round_at_random(count * settings.prevalence, generator)
    names = [turned[k % len(turned)] for k in range(num_generated)] + [REAL] * (count - num_generated)
    return [PlannedTrial(kind, name, (name,), name != REAL) for name in names]


def _triplets(kind: str, count: int, models: list[str], generator: np.random.Generator) -> list[PlannedTrial]:
    """Two real pictures and a generated one, each of the three places alike likely, whatever the other trials are."""
    found = []
    for k in range(count):
        model, place = models[k % len(models)], int(generator.integers(3))
        conditions = tuple(model if one == place else REAL for one in range(3))
        found.append(PlannedTrial(kind, model, conditions, True, target=place + 1))
    return found


def plan_comparisons(
    settings: StudySettings,
    models: list[str],
    *,
    secret: bytes,
    seed: int,
    number: int,
    counts: ArrayLike | None = None,
) -> list[PlannedTrial]:
    """The pairs of judge `number` in a preference study, each with all questions in turn.

    Balanced: judges go on where the one before stopped in the list of all pairs, so pairs are shown alike often; a
    pair's sides are drawn, and every second showing of it to a judge has them changed. Adaptive: see
    `bradley_terry.informative_pairs`. A check shows a blatantly false picture beside a model's.

    Args:
        settings: of the study.
        models: whose pictures are compared, two or more.
        secret: of the study.
        seed: of the study.
        number: of the judge, from 0.
        counts: adaptive: (P, 3), for each pair of `itertools.combinations(models, 2)` how often the first was
            preferred so far, the second, neither.

    Example:
        >>> settings = StudySettings(design="preference", trials=6, practice=0, checks=1)
        >>> plan = plan_comparisons(settings, ["a", "b", "c"], secret=b"key", seed=1, number=0)
        >>> sorted({one.model, one.other_model} == {"a", "b"} for one in plan if one.kind == "main")
        [False, False, False, False, True, True]
    """
    generator = _generator(secret, seed, "comparisons", number)
    pairs = list(itertools.combinations(models, 2))
    orders: dict[tuple[str, str], bool] = {}

    def sides(one: str, two: str) -> tuple[str, str]:
        swapped = orders[one, two] = not orders.get((one, two), bool(generator.integers(2)))
        return (two, one) if swapped else (one, two)

    def asked(kind: str, names: tuple[str, str], questions: tuple[str, ...]) -> list[PlannedTrial]:
        return [PlannedTrial(kind, names[0], names, True, names[1], question, None, k > 0)
                for k, question in enumerate(questions)]  # fmt: skip

    start = number * settings.trials
    chosen = [(start + k) % len(pairs) for k in range(settings.trials)]
    if settings.schedule == "adaptive" and counts is not None:
        places = np.array(list(itertools.combinations(range(len(models)), 2)))
        chosen = informative_pairs(counts, places, settings.trials, generator)
    practice = [asked("practice", sides(*pairs[int(generator.integers(len(pairs)))]), settings.asked)
                for _ in range(settings.practice)]  # fmt: skip
    main = [asked("main", sides(*pairs[place]), settings.asked) for place in chosen]
    for _ in range(settings.checks):
        names = (CHECK, models[int(generator.integers(len(models)))])
        main.append(asked("check", names[:: 1 if generator.random() < 0.5 else -1], settings.asked[:1]))  # type: ignore[arg-type]
    groups = [*practice, *(main[k] for k in generator.permutation(len(main)))]
    return [trial for group in groups for trial in group]


def assign_model(models: list[str], *, secret: bytes, seed: int, number: int) -> str:
    """--between: the only model of judge `number`: random within blocks of all models, so groups stay equal.

    Example:
        >>> drawn = [assign_model(["a", "b", "c"], secret=b"key", seed=1, number=number) for number in range(30)]
        >>> drawn.count("a"), drawn.count("b"), drawn.count("c")
        (10, 10, 10)
    """
    block, place = divmod(number, len(models))
    return models[int(_generator(secret, seed, "models", block).permutation(len(models))[place])]


def _generator(secret: bytes, seed: int, purpose: str, number: int) -> np.random.Generator:
    """Random numbers that nobody without the secret can draw again (HMAC-SHA-256)."""
    digest = hmac.digest(secret, f"plan\0{purpose}\0{seed}\0{number}".encode(), "sha256")
    return np.random.default_rng(int.from_bytes(digest, "big"))


def _pair(kind: str, model: str, real_on_the_right: bool) -> PlannedTrial:
    return PlannedTrial(kind, model, (model, REAL) if real_on_the_right else (REAL, model), real_on_the_right)


def _round_at_random(number: float, generator: np.random.Generator) -> int:
    """Up or down, so that the mean is the number; both kinds of picture appear where there is room."""
    return int(np.floor(number + (0 if number == int(number) else generator.random())))
