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

    Looks at `discriminator/real_probability` and `discriminator/generated_probability` (means of D) and at
    `images/generated_spread` and `images/real_spread` (mean deviation of a pixel over images), where present.

    >>> [alarm.name for alarm in check({"images/generated_spread": 0.001, "images/real_spread": 0.3})]
    ['generator collapsed']
    """
    alarms = []
    real = report.get("discriminator/real_probability", 0.5)
    generated = report.get("discriminator/generated_probability", 0.5)
    if real > 0.995 and generated < 0.005:
        alarms.append(
            Alarm(
                "discriminator has won",
                f"the discriminator has won: it calls {real:.1%} of real and {generated:.1%} of generated images real, "
                "so its loss is about 0 and neither player learns any more. Try Adam's epsilon at 1e-4, a smaller "
                "learning rate for the discriminator, more noise on its layers, or one-sided label smoothing",
            )
        )
    spread, real_spread = report.get("images/generated_spread"), report.get("images/real_spread")
    if spread is not None and real_spread and spread < 0.1 * real_spread:
        alarms.append(
            Alarm(
                "generator collapsed",
                f"the generator has collapsed: its images differ from each other by {spread:.3f} a pixel, real ones by "
                f"{real_spread:.3f}. Look at the sample grid; try feature matching or minibatch discrimination, "
                "or a smaller learning rate for the generator",
            )
        )
    return alarms


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
