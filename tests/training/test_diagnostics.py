import json
from collections.abc import Mapping
from pathlib import Path

import pytest

from improved_gan.training import diagnostics
from improved_gan.training.diagnostics import WARM_UP_STEPS, Diagnostic, Setting, not_finite

HEALTHY = {
    "discriminator/real_probability": 0.8,
    "discriminator/generated_probability": 0.2,
    "images/generated_pixel_std": 0.2,
    "images/real_pixel_std": 0.2,
    "generator/feature_matching": 0.1,
}


NOTHING_YET = Setting()
WORST = {
    **HEALTHY,
    "discriminator/real_probability": 1.0,
    "discriminator/generated_probability": 0.0,
    "discriminator/feature_distance": 6.0,
    "discriminator/supervised": 200.0,
    "images/generated_pixel_std": 0.001,
}


def check(report: Mapping[str, float], setting: Setting = NOTHING_YET, *, step: int = 10_000) -> list[Diagnostic]:
    return diagnostics.check(report, step=step, setting=setting)


@pytest.mark.parametrize(("step", "num"), [(8, 0), (WARM_UP_STEPS - 1, 0), (WARM_UP_STEPS, 4), (10**6, 4)])
def test_no_diagnostics_in_the_first_steps(step: int, num: int) -> None:
    assert len(check(WORST, step=step)) == num


def test_feature_matching_is_not_advised_to_a_run_that_has_it() -> None:
    for diagnostic in check(WORST):
        assert "feature matching" not in diagnostic.message
        assert "label smoothing" not in diagnostic.message  # K+1 classes have no single target to smooth
        assert "minibatch discrimination" not in diagnostic.message
    plain = {name: value for name, value in WORST.items() if name != "generator/feature_matching"}
    plain |= {"generator/adversarial": 0.1, "discriminator/adversarial": 0.1}
    saturated, collapsed, apart, _ = (diagnostic.message for diagnostic in check(plain))
    assert "one-sided label smoothing" in saturated
    assert "Try feature matching in the generator's loss, minibatch discrimination or a smaller" in collapsed
    assert "feature matching in the generator's loss" in apart
    assert "minibatch discrimination" not in check(plain, Setting(compares_rows=True))[1].message


def test_what_is_set_already_is_not_advised() -> None:
    everything = " ".join(diagnostic.message for diagnostic in check(WORST, Setting()))
    for words in ("epsilon at 1e-4", "--precision float32", "--generator-updates 2", "checkpoints are kept"):
        assert words in everything
    there = Setting(generator_updates=2, adam_epsilon=1e-4, float32=True)
    everything = " ".join(diagnostic.message for diagnostic in check(WORST, there))
    assert "epsilon" not in everything
    assert "float32" not in everything
    assert "3 generator updates per discriminator update (--generator-updates 3)" in everything
    assert not_finite(["x"], 5, None, setting=there).endswith("Try a smaller learning rate")


EARLY = {"epoch": 3, "discriminator/real_probability": 0.985, "discriminator/generated_probability": 0.015}


@pytest.mark.parametrize(
    ("changes", "names"),
    [
        ({}, ["out of balance"]),
        ({"epoch": 11}, []),
        ({"discriminator/real_probability": 0.97}, []),
        ({"discriminator/generated_probability": 0.03}, []),
        (
            {"discriminator/real_probability": 0.999, "discriminator/generated_probability": 0.001},
            ["discriminator saturates"],
        ),
    ],
)
def test_training_out_of_balance_in_its_first_epochs(changes: dict[str, float], names: list[str]) -> None:
    assert [diagnostic.name for diagnostic in check({**HEALTHY, **EARLY, **changes})] == names


def test_out_of_balance_and_saturated_name_the_learning_rate_first() -> None:
    setting = Setting(learning_rate=0.003)
    saturated = {"discriminator/real_probability": 0.999, "discriminator/generated_probability": 0.001}
    for changes in ({}, saturated):
        (found,) = check({**HEALTHY, **EARLY, **changes}, setting)
        assert "Try a smaller learning rate (--learning-rate 0.001), 2 generator updates" in found.message


@pytest.mark.parametrize(
    ("run", "epochs"),
    [
        ("mnist-short-100-split1", []),
        ("mnist-100-split1", [2]),
        ("mnist-100-paper-split1", []),
        ("mnist-20-rate-0.001", []),
        ("mnist-20-rate-0.003", []),
    ],
)
def test_recorded_runs(run: str, epochs: list[int]) -> None:
    """At 0.003 the second of these runs was out of balance in its second epoch, and recovered (docs/balance.md)."""
    log = (Path(__file__).parents[2] / "docs" / "runs" / f"{run}.jsonl").read_text().splitlines()
    reports = [json.loads(line) for line in log]
    assert [report["epoch"] for report in reports if check(report, step=report["step"])] == epochs


def test_advice_for_the_estimator_names_its_parameters() -> None:
    setting = Setting(generator_updates=None, adam_epsilon=1e-4, float32=True, checkpoints=False)
    messages = [diagnostic.message for diagnostic in check(WORST, setting)]
    assert len(messages) == 4
    for message in messages:
        assert "--" not in message
        assert "sample grid" not in message
        assert "checkpoint" not in message
        assert message.endswith("Try a smaller learning_rate")


@pytest.mark.parametrize(
    ("changes", "names"),
    [
        ({}, []),
        (
            {"discriminator/real_probability": 0.999, "discriminator/generated_probability": 0.001},
            ["discriminator saturates"],
        ),
        ({"discriminator/real_probability": 0.999}, []),
        ({"discriminator/generated_probability": 0.001}, []),
        ({"images/generated_pixel_std": 0.019}, ["generator collapsed"]),
        ({"images/generated_pixel_std": 0.021}, []),
        ({"images/real_pixel_std": 0.0, "images/generated_pixel_std": 0.0}, []),
    ],
)
def test_diagnostics_of_feature_matching(changes: dict[str, float], names: list[str]) -> None:
    assert [diagnostic.name for diagnostic in check({**HEALTHY, **changes})] == names


def test_a_report_without_monitors_gives_no_diagnostics() -> None:
    assert check({"generator/adversarial": 0.7}) == []


def test_a_generator_that_is_not_trained_cannot_collapse() -> None:
    report = {**HEALTHY, "images/generated_pixel_std": 0.001}
    assert check(report)
    del report["generator/feature_matching"]
    assert check(report) == []


def test_messages_say_what_it_means_and_what_to_try() -> None:
    worst = {**HEALTHY, "discriminator/real_probability": 1.0, "discriminator/generated_probability": 0.0}
    worst["images/generated_pixel_std"] = 0.001
    for diagnostic in check(worst):
        assert "Try" in diagnostic.message
    message = not_finite(["generator/feature_matching"], 12, "step-00000010.safetensors")
    assert "generator/feature_matching" in message
    assert "step 12" in message
    assert "step-00000010.safetensors, is kept" in message
    assert "Try a smaller learning rate" in message


@pytest.mark.parametrize(
    ("changes", "names"),
    [
        # With a smoothed target of 0.9 D stays below 0.9 on real images.
        ({"discriminator/real_probability": 0.9, "discriminator/generated_probability": 0.001}, []),
        (
            {
                "discriminator/real_probability": 0.9,
                "discriminator/generated_probability": 0.001,
                "discriminator/accuracy": 1.0,
            },
            ["discriminator saturates"],
        ),
        ({"discriminator/generated_distance": 0.9, "discriminator/real_distance": 10.0}, ["generator collapsed"]),
        ({"discriminator/generated_distance": 1.1, "discriminator/real_distance": 10.0}, []),
        ({"discriminator/feature_distance": 5.1}, ["features apart"]),
        ({"discriminator/feature_distance": 3.0, "discriminator/real_distance": 500.0}, []),
        ({"generator/adversarial": 101.0}, ["losses diverge"]),
        ({"images/real_pixel_std": 1000.0, "images/generated_pixel_std": 1000.0}, []),
    ],
)
def test_diagnostics_of_adversarial_training(changes: dict[str, float], names: list[str]) -> None:
    assert [diagnostic.name for diagnostic in check({**HEALTHY, **changes})] == names
