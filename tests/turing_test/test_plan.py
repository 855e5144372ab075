from collections import Counter

import pytest

from improved_gan.turing_test.plan import assign_arm, plan_trials
from improved_gan.turing_test.settings import StudySettings


def test_arms_are_balanced_in_every_block_and_not_in_turn() -> None:
    arms = [assign_arm(StudySettings(), secret=b"key", seed=3, number=k) for k in range(80)]
    assert all(Counter(arms[k : k + 4])["feedback"] == 2 for k in range(0, 80, 4))
    assert len({tuple(arms[k : k + 4]) for k in range(0, 80, 4)}) > 2
    assert {assign_arm(StudySettings(feedback="never"), secret=b"key", seed=3, number=k) for k in range(9)} == {
        "no_feedback"
    }


@pytest.mark.parametrize("design", ["yes_no", "two_alternative", "timed", "rating"])
def test_the_plan_of_fixed_numbers_has_what_the_settings_say(design: str) -> None:
    settings, sides = StudySettings(design=design, trials=20, practice=4, checks=3, kinds="fixed"), Counter()
    for number in range(6):
        plan = plan_trials(settings, ["a", "b"], secret=b"key", seed=1, number=number)
        assert [one.kind for one in plan[:4]] == ["practice"] * 4
        assert Counter(one.kind for one in plan) == {"practice": 4, "main": 20, "check": 3}
        main = [one for one in plan if one.kind == "main"]
        counts = Counter(one.model for one in main)
        assert counts == ({"a": 10, "b": 10} if settings.in_pairs else {"a": 5, "b": 5, "real": 10})
        sides.update(one.signal for one in main)
    assert sides[True] == sides[False] == 60


@pytest.mark.parametrize("design", ["yes_no", "two_alternative", "timed", "rating"])
@pytest.mark.parametrize("kind", ["practice", "main"])
def test_what_feedback_told_says_nothing_about_the_next_trial(design: str, kind: str) -> None:
    """A judge who says the kind that was seen less often so far is right half the time; with fixed numbers, 58%."""
    right = {}
    for kinds in ("independent", "fixed"):
        settings, found = StudySettings(design=design, trials=50, practice=50, kinds=kinds), []
        for number in range(120):
            plan = plan_trials(settings, ["a", "b"], secret=b"key", seed=2, number=number)
            ahead = 0
            for one in plan:
                if one.kind == kind:
                    found.append(0.5 if ahead == 0 else float((ahead < 0) == one.signal))
                    ahead += 1 if one.signal else -1
        right[kinds] = sum(found) / len(found)
    assert right["independent"] == pytest.approx(0.5, abs=0.02)
    assert right["fixed"] > 0.55


def test_models_take_turns_and_numbers_differ_between_judges() -> None:
    settings, seen = StudySettings(trials=40, practice=0, checks=0), set()
    for number in range(12):
        plan = plan_trials(settings, ["a", "b"], secret=b"key", seed=1, number=number)
        counts = Counter(one.model for one in plan)
        assert counts["a"] - counts["b"] in ((0, 1) if number % 2 == 0 else (0, -1))
        seen.add(counts["real"])
    assert len(seen) > 3


def test_prevalence_is_kept_in_the_mean_and_order_differs_between_judges() -> None:
    settings = StudySettings(trials=10, practice=0, checks=0, prevalence=0.25)
    plans = [plan_trials(settings, ["a"], secret=b"key", seed=1, number=number) for number in range(400)]
    assert sum(one.signal for plan in plans for one in plan) == pytest.approx(1000, abs=110)
    assert len({tuple(one.signal for one in plan) for plan in plans}) > 50


def test_plan_and_arm_cannot_be_computed_without_the_secret_of_the_study() -> None:
    """Two studies with equal settings, models and seed: other trials, other arms; the same secret gives the same."""
    settings = StudySettings(trials=30)

    def drawn(secret: bytes) -> tuple[object, object]:
        arms = [assign_arm(settings, secret=secret, seed=0, number=k) for k in range(40)]
        return plan_trials(settings, ["a"], secret=secret, seed=0, number=0), arms

    (plan, arms), (other_plan, other_arms) = drawn(b"one"), drawn(b"two")
    assert plan != other_plan
    assert arms != other_arms
    assert drawn(b"one") == (plan, arms)
