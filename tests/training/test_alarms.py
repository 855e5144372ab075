import pytest

from improved_gan.training.alarms import check, not_finite

HEALTHY = {
    "discriminator/real_probability": 0.8,
    "discriminator/generated_probability": 0.2,
    "images/generated_spread": 0.2,
    "images/real_spread": 0.2,
    "generator/feature_matching": 0.1,
}


@pytest.mark.parametrize(
    ("changes", "names"),
    [
        ({}, []),
        (
            {"discriminator/real_probability": 0.999, "discriminator/generated_probability": 0.001},
            ["discriminator has won"],
        ),
        ({"discriminator/real_probability": 0.999}, []),
        ({"discriminator/generated_probability": 0.001}, []),
        ({"images/generated_spread": 0.019}, ["generator collapsed"]),
        ({"images/generated_spread": 0.021}, []),
        ({"images/real_spread": 0.0, "images/generated_spread": 0.0}, []),
    ],
)
def test_alarms_sound_when_they_should(changes: dict[str, float], names: list[str]) -> None:
    assert [alarm.name for alarm in check({**HEALTHY, **changes})] == names


def test_a_report_without_monitors_is_no_cause_for_alarm() -> None:
    assert check({"generator/adversarial": 0.7}) == []


def test_a_generator_that_is_not_trained_cannot_collapse() -> None:
    report = {**HEALTHY, "images/generated_spread": 0.001}
    assert check(report)
    del report["generator/feature_matching"]
    assert check(report) == []


def test_messages_say_what_it_means_and_what_to_try() -> None:
    worst = {**HEALTHY, "discriminator/real_probability": 1.0, "discriminator/generated_probability": 0.0}
    worst["images/generated_spread"] = 0.001
    for alarm in check(worst):
        assert "Try" in alarm.message or "try" in alarm.message
    message = not_finite(["generator/feature_matching"], 12, "step-00000010.safetensors")
    assert "generator/feature_matching" in message
    assert "step 12" in message
    assert "step-00000010.safetensors, is kept" in message
    assert "Try a smaller learning rate" in message


@pytest.mark.parametrize(
    ("changes", "names"),
    [
        # With a smoothed target of 0.9 D never calls a real image real by more than that.
        ({"discriminator/real_probability": 0.9, "discriminator/generated_probability": 0.001}, []),
        (
            {
                "discriminator/real_probability": 0.9,
                "discriminator/generated_probability": 0.001,
                "discriminator/accuracy": 1.0,
            },
            ["discriminator has won"],
        ),
        ({"discriminator/generated_distance": 0.9, "discriminator/real_distance": 10.0}, ["generator collapsed"]),
        ({"discriminator/generated_distance": 1.1, "discriminator/real_distance": 10.0}, []),
        ({"discriminator/feature_distance": 5.1}, ["features apart"]),
        ({"discriminator/feature_distance": 3.0, "discriminator/real_distance": 500.0}, []),
        ({"generator/adversarial": 101.0}, ["losses diverge"]),
        ({"images/real_spread": 1000.0, "images/generated_spread": 1000.0}, []),
    ],
)
def test_alarms_of_the_game(changes: dict[str, float], names: list[str]) -> None:
    assert [alarm.name for alarm in check({**HEALTHY, **changes})] == names
