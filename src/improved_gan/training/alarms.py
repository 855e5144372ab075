"""Training that goes wrong, told in plain words: what it means and what to try."""

from collections.abc import Mapping
from dataclasses import dataclass

__all__ = ["Alarm", "check", "not_finite"]


@dataclass(frozen=True)
class Alarm:
    """One thing that goes wrong."""

    name: str
    message: str


def check(report: Mapping[str, float]) -> list[Alarm]:
    """The alarms that one report gives cause for.

    Looks, where present, at `discriminator/real_probability` and `discriminator/generated_probability` (means of D),
    `discriminator/accuracy`, `images/generated_spread` and `images/real_spread` (mean deviation of a pixel over
    images), `discriminator/generated_distance` and `discriminator/real_distance` (between the features of two images of
    a batch), `discriminator/feature_distance` (of the mean features, in units of the real distance), and every loss.

    >>> [alarm.name for alarm in check({"images/generated_spread": 0.001, "images/real_spread": 0.3})]
    ['generator collapsed']
    """
    found = (_decided(report), _collapsed(report), _features_apart(report), _diverging(report))
    return [alarm for alarm in found if alarm is not None]


def _decided(report: Mapping[str, float]) -> Alarm | None:
    """With a smoothed target D calls real images real by 0.9 at most, so its accuracy counts as well."""
    real = report.get("discriminator/real_probability", 0.5)
    generated = report.get("discriminator/generated_probability", 0.5)
    sure = real > 0.995 or report.get("discriminator/accuracy", 0.0) > 0.999
    if not sure or generated >= 0.005:
        return None
    return Alarm(
        "discriminator has won",
        f"the discriminator has won: it calls {real:.1%} of real and {generated:.1%} of generated images real, "
        "so its loss is about as small as it gets and neither player learns any more. Try two turns of the "
        "generator for each of the discriminator (--generator-steps 2), Adam's epsilon at 1e-4, a smaller learning "
        "rate for the discriminator, more noise on its layers, or one-sided label smoothing",
    )


def _collapsed(report: Mapping[str, float]) -> Alarm | None:
    if _rests(report):
        return None
    for generated_name, real_name, where in (
        ("images/generated_spread", "images/real_spread", "a pixel"),
        ("discriminator/generated_distance", "discriminator/real_distance", "in the discriminator's features"),
    ):
        generated, real = report.get(generated_name), report.get(real_name)
        if generated is not None and real and generated < 0.1 * real:
            return Alarm(
                "generator collapsed",
                f"the generator has collapsed: its images differ from each other by {generated:.3f} {where}, real ones "
                f"by {real:.3f}. Look at the sample grid; try feature matching or minibatch discrimination, "
                "or a smaller learning rate for the generator",
            )
    return None


def _rests(report: Mapping[str, float]) -> bool:
    """Whether the discriminator is trained and the generator is not, so that its images do not matter."""
    players = {name.split("/")[0] for name in report}
    return "discriminator" in players and "generator" not in players


def _features_apart(report: Mapping[str, float]) -> Alarm | None:
    apart = report.get("discriminator/feature_distance", 0.0)
    if apart <= 5:
        return None
    return Alarm(
        "features apart",
        f"the mean features of generated images are {apart:.1f} times as far from those of real ones as two real "
        "images are from each other: the generator is not following. Look at the sample grid; try a smaller learning "
        "rate for the discriminator (`discriminator_rate`), or feature matching in the generator's cost",
    )


def _diverging(report: Mapping[str, float]) -> Alarm | None:
    players = ("discriminator/", "generator/")
    monitors = ("discriminator/real_distance", "discriminator/generated_distance", "discriminator/feature_distance")
    large = {name: v for name, v in report.items() if name.startswith(players) and name not in monitors and v > 100}
    if not large:
        return None
    listed = ", ".join(f"{name} is {value:.0f}" for name, value in large.items())
    return Alarm(
        "losses diverge",
        f"{listed}: training is running away. Try a smaller learning rate or Adam's epsilon at 1e-4; the samples of "
        "earlier epochs and the last two checkpoints are kept",
    )


def not_finite(names: list[str], step: int, last_checkpoint: str | None) -> str:
    """What to say when a loss is no number any more.

    >>> not_finite(["generator/feature_matching"], 7, None).startswith("generator/feature_matching is not finite")
    True
    """
    kept = f"The last good checkpoint, {last_checkpoint}, is kept" if last_checkpoint else "No checkpoint was made yet"
    return (
        f"{', '.join(names)} is not finite at step {step}: training has diverged and was stopped. {kept}. "
        "Try a smaller learning rate, Adam's epsilon at 1e-4, or --precision float32"
    )
