"""Training that goes wrong, told in plain words: what it means and what to try.

A new generator's images are gray and all alike, and a discriminator separates them from real ones within a hundred
steps: every run starts so. So nothing is reported of the first steps, and advice names only what the run does not do
already.
"""

from collections.abc import Mapping
from dataclasses import dataclass

__all__ = ["WARM_UP_STEPS", "Diagnostic", "Setting", "check", "not_finite"]

WARM_UP_STEPS = 500  # of a run, of whose reports nothing is said


@dataclass(frozen=True)
class Diagnostic:
    """One thing that goes wrong."""

    name: str
    message: str


@dataclass(frozen=True)
class Setting:
    """What a run does already, so that nobody is advised to do it.

    Args:
        compares_rows: whether the discriminator looks across the batch (minibatch discrimination).
        generator_steps: turns of the generator for each of the discriminator; None where that cannot be changed.
        adam_epsilon: of the optimizers.
        float32: whether the forward passes are in full precision.
        checkpoints: whether the run has a folder with checkpoints and samples.
    """

    compares_rows: bool = False
    generator_steps: int | None = 1
    adam_epsilon: float = 1e-8
    float32: bool = False
    checkpoints: bool = True


def check(report: Mapping[str, float], *, step: int, setting: Setting = Setting()) -> list[Diagnostic]:
    """The diagnostics that one report gives cause for; none before `WARM_UP_STEPS`.

    Looks, where present, at `discriminator/real_probability` and `discriminator/generated_probability` (means of D),
    `discriminator/accuracy`, `images/generated_pixel_std` and `images/real_pixel_std` (mean deviation of a pixel over
    images), `discriminator/generated_distance` and `discriminator/real_distance` (between the features of two images of
    a batch), `discriminator/feature_distance` (of the mean features, in units of the real distance), and every loss.

    Args:
        report: numbers by name.
        step: how many steps the run has made.
        setting: what it does already.

    >>> report = {"images/generated_pixel_std": 0.001, "images/real_pixel_std": 0.3}
    >>> [diagnostic.name for diagnostic in check(report, step=1000)]
    ['generator collapsed']
    """
    if step < WARM_UP_STEPS:
        return []
    found = (
        _decided(report, setting),
        _collapsed(report, setting),
        _features_apart(report, setting),
        _diverging(report, setting),
    )
    return [diagnostic for diagnostic in found if diagnostic is not None]


def _decided(report: Mapping[str, float], setting: Setting) -> Diagnostic | None:
    """With a smoothed target D calls real images real by 0.9 at most, so its accuracy counts as well."""
    real = report.get("discriminator/real_probability", 0.5)
    generated = report.get("discriminator/generated_probability", 0.5)
    sure = real > 0.995 or report.get("discriminator/accuracy", 0.0) > 0.999
    if not sure or generated >= 0.005:
        return None
    remedies = {
        **_more_turns(setting),
        **_epsilon(setting),
        _smaller_rate(setting, "discriminator"): True,
        "more noise on its layers": setting.checkpoints,
        # Of a plain game: the K+1 classes of a classifier have no single target to smooth.
        "one-sided label smoothing": "discriminator/adversarial" in report,
    }
    return Diagnostic(
        "discriminator has won",
        f"the discriminator has won: it calls {real:.1%} of real and {generated:.1%} of generated images real, "
        f"so its loss is about as small as it gets and neither player learns any more. Try {_any_of(remedies)}",
    )


def _collapsed(report: Mapping[str, float], setting: Setting) -> Diagnostic | None:
    if _rests(report):
        return None
    for generated_name, real_name, where in (
        ("images/generated_pixel_std", "images/real_pixel_std", "a pixel"),
        ("discriminator/generated_distance", "discriminator/real_distance", "in the discriminator's features"),
    ):
        generated, real = report.get(generated_name), report.get(real_name)
        if generated is not None and real and generated < 0.1 * real:
            remedies = {
                "feature matching in the generator's cost": not _matches(report),
                "minibatch discrimination": "generator/adversarial" in report and not setting.compares_rows,
                **_more_turns(setting, wanted="generator/adversarial" not in report),
                _smaller_rate(setting, "generator"): True,
            }
            return Diagnostic(
                "generator collapsed",
                f"the generator has collapsed: its images differ from each other by {generated:.3f} {where}, real ones "
                f"by {real:.3f}.{_look(setting)} Try {_any_of(remedies)}",
            )
    return None


def _rests(report: Mapping[str, float]) -> bool:
    """Whether the discriminator is trained and the generator is not, so that its images do not matter."""
    players = {name.split("/")[0] for name in report}
    return "discriminator" in players and "generator" not in players


def _features_apart(report: Mapping[str, float], setting: Setting) -> Diagnostic | None:
    apart = report.get("discriminator/feature_distance", 0.0)
    if apart <= 5:
        return None
    remedies = {
        _smaller_rate(setting, "discriminator"): True,
        "feature matching in the generator's cost": not _matches(report),
        **_more_turns(setting),
    }
    return Diagnostic(
        "features apart",
        f"the mean features of generated images are {apart:.1f} times as far from those of real ones as two real "
        f"images are from each other: the generator is not following.{_look(setting)} Try {_any_of(remedies)}",
    )


def _diverging(report: Mapping[str, float], setting: Setting) -> Diagnostic | None:
    players = ("discriminator/", "generator/")
    monitors = ("discriminator/real_distance", "discriminator/generated_distance", "discriminator/feature_distance")
    large = {name: v for name, v in report.items() if name.startswith(players) and name not in monitors and v > 100}
    if not large:
        return None
    listed = ", ".join(f"{name} is {value:.0f}" for name, value in large.items())
    remedies = {_smaller_rate(setting): True, **_epsilon(setting), **_full_precision(setting)}
    kept = "; the samples of earlier epochs and the last two checkpoints are kept" if setting.checkpoints else ""
    return Diagnostic("losses diverge", f"{listed}: training is running away. Try {_any_of(remedies)}{kept}")


def _matches(report: Mapping[str, float]) -> bool:
    """Whether the generator matches features already."""
    return "generator/feature_matching" in report


def _more_turns(setting: Setting, *, wanted: bool = True) -> dict[str, bool]:
    if setting.generator_steps is None:
        return {}
    num = setting.generator_steps + 1
    return {f"{num} turns of the generator for each of the discriminator (--generator-steps {num})": wanted}


def _epsilon(setting: Setting) -> dict[str, bool]:
    return {"Adam's epsilon at 1e-4": setting.adam_epsilon < 1e-4}


def _full_precision(setting: Setting) -> dict[str, bool]:
    return {"--precision float32" if setting.checkpoints else "precision='float32'": not setting.float32}


def _smaller_rate(setting: Setting, player: str | None = None) -> str:
    """The recipe has a rate for each player, the estimator one for both."""
    if not setting.checkpoints:
        return "a smaller learning_rate"
    field = " (`discriminator_lr_scale`)" if player == "discriminator" else ""
    return "a smaller learning rate" + (f" for the {player}{field}" if player else "")


def _look(setting: Setting) -> str:
    return " Look at the sample grid." if setting.checkpoints else " Look at what sample() gives."


def _any_of(remedies: Mapping[str, bool]) -> str:
    """Those that are new to the run, in a list."""
    *first, last = [words for words, holds in remedies.items() if holds]
    return f"{', '.join(first)} or {last}" if first else last


def not_finite(names: list[str], step: int, last_checkpoint: str | None, *, setting: Setting = Setting()) -> str:
    """What to say when a loss is no number any more.

    >>> not_finite(["generator/feature_matching"], 7, None).startswith("generator/feature_matching is not finite")
    True
    """
    kept = f"The last good checkpoint, {last_checkpoint}, is kept" if last_checkpoint else "No checkpoint was made yet"
    return (
        f"{', '.join(names)} is not finite at step {step}: training has diverged and was stopped. {kept}. "
        f"Try {_any_of({_smaller_rate(setting): True, **_epsilon(setting), **_full_precision(setting)})}"
    )
