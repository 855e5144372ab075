"""Diagnostics of training: what is wrong, what it means, and what to try.

A new generator's images are gray and all alike, and a discriminator separates them from real ones within a hundred
steps: every run starts so. So nothing is reported of the first steps, and advice names only what the run does not do
already.
"""

from collections.abc import Mapping
from dataclasses import dataclass

__all__ = ["WARM_UP_STEPS", "Diagnostic", "Setting", "check", "not_finite"]

WARM_UP_STEPS = 500  # reports before this step give no diagnostics
_FIRST_EPOCHS = 10  # in which training that will run away is out of balance already


@dataclass(frozen=True)
class Diagnostic:
    """One problem: a short name for the log, and the warning's text."""

    name: str
    message: str


@dataclass(frozen=True)
class Setting:
    """What a run does already, so that the advice does not name it.

    Args:
        learning_rate: of the generator; None where it is not known.
        compares_rows: whether the discriminator compares the images of a batch (minibatch discrimination).
        generator_updates: generator updates per discriminator update; None where that cannot be changed.
        adam_epsilon: of the optimizers.
        float32: whether the forward passes are in full precision.
        checkpoints: whether the run has a folder with checkpoints and samples.
    """

    compares_rows: bool = False
    generator_updates: int | None = 1
    adam_epsilon: float = 1e-8
    float32: bool = False
    checkpoints: bool = True
    learning_rate: float | None = None


def check(report: Mapping[str, float], *, step: int, setting: Setting = Setting()) -> list[Diagnostic]:
    """The diagnostics of one report; none before `WARM_UP_STEPS`.

    Reads, where present, `epoch`, `discriminator/real_probability` and `discriminator/generated_probability` (means of
    D), `discriminator/accuracy`, `images/generated_pixel_std` and `images/real_pixel_std` (standard deviation over
    images, mean over pixels), `discriminator/generated_distance` and `discriminator/real_distance` (between the
    features of two images of a batch), `discriminator/feature_distance` (of the mean features, in units of the real
    distance), and every loss.

    Args:
        report: numbers by name.
        step: the number of steps so far.
        setting: what the run does already.

    >>> report = {"images/generated_pixel_std": 0.001, "images/real_pixel_std": 0.3}
    >>> [diagnostic.name for diagnostic in check(report, step=1000)]
    ['generator collapsed']
    """
    if step < WARM_UP_STEPS:
        return []
    saturated = _discriminator_saturates(report, setting)
    found = (
        saturated,
        None if saturated else _out_of_balance(report, setting),
        _generator_collapsed(report, setting),
        _features_apart(report, setting),
        _diverging(report, setting),
    )
    return [diagnostic for diagnostic in found if diagnostic is not None]


def _discriminator_saturates(report: Mapping[str, float], setting: Setting) -> Diagnostic | None:
    """With a smoothed target D(real) is at most about 0.9, so a perfect accuracy counts as well."""
    real = report.get("discriminator/real_probability", 0.5)
    generated = report.get("discriminator/generated_probability", 0.5)
    confident = real > 0.995 or report.get("discriminator/accuracy", 0.0) > 0.999
    if not confident or generated >= 0.005:
        return None
    remedies = {
        _smaller_lr(setting): True,
        **_more_generator_updates(setting),
        **_larger_epsilon(setting),
        "more noise on its layers": setting.checkpoints,
        # Only without classes: K+1 classes have no single target to smooth.
        "one-sided label smoothing": "discriminator/adversarial" in report,
    }
    return Diagnostic(
        "discriminator saturates",
        f"the discriminator saturates: D is {real:.3f} on real and {generated:.3f} on generated images, so its loss is "
        f"near 0 and neither network improves further. Try {_any_of(remedies)}",
    )


def _out_of_balance(report: Mapping[str, float], setting: Setting) -> Diagnostic | None:
    """With feature matching a balanced discriminator is never sure: in its first epochs D(real) is about 0.85.

    MNIST with 20 labels was in some runs at a learning rate of 0.003, and in none at 0.001 (docs/balance.md).
    """
    real = report.get("discriminator/real_probability", 0.5)
    generated = report.get("discriminator/generated_probability", 0.5)
    if (
        not _matches(report)
        or report.get("epoch", _FIRST_EPOCHS + 1) > _FIRST_EPOCHS
        or real < 0.98
        or generated > 0.02
    ):
        return None
    remedies = {_smaller_lr(setting): True, **_more_generator_updates(setting), **_larger_epsilon(setting)}
    return Diagnostic(
        "out of balance",
        f"training is out of balance in its first epochs: D is {real:.3f} on real and {generated:.3f} on generated "
        f"images, where about 0.85 and 0.15 are usual. Some runs recover, others do not. "
        f"Try {_any_of(remedies)}",
    )


def _generator_collapsed(report: Mapping[str, float], setting: Setting) -> Diagnostic | None:
    if _generator_is_not_updated(report):
        return None
    for generated_name, real_name, where in (
        ("images/generated_pixel_std", "images/real_pixel_std", "a pixel"),
        ("discriminator/generated_distance", "discriminator/real_distance", "in the discriminator's features"),
    ):
        generated, real = report.get(generated_name), report.get(real_name)
        if generated is not None and real and generated < 0.1 * real:
            remedies = {
                "feature matching in the generator's loss": not _matches(report),
                "minibatch discrimination": "generator/adversarial" in report and not setting.compares_rows,
                **_more_generator_updates(setting, wanted="generator/adversarial" not in report),
                _smaller_lr(setting, "generator"): True,
            }
            return Diagnostic(
                "generator collapsed",
                f"the generator has collapsed: its images differ from each other by {generated:.3f} {where}, real ones "
                f"by {real:.3f}.{_look_at_samples(setting)} Try {_any_of(remedies)}",
            )
    return None


def _generator_is_not_updated(report: Mapping[str, float]) -> bool:
    """Whether the discriminator has losses and the generator has none, so that its images do not matter."""
    networks = {name.split("/")[0] for name in report}
    return "discriminator" in networks and "generator" not in networks


def _features_apart(report: Mapping[str, float], setting: Setting) -> Diagnostic | None:
    apart = report.get("discriminator/feature_distance", 0.0)
    if apart <= 5:
        return None
    remedies = {
        _smaller_lr(setting, "discriminator"): True,
        "feature matching in the generator's loss": not _matches(report),
        **_more_generator_updates(setting),
    }
    return Diagnostic(
        "features apart",
        f"the mean features of generated and of real images are {apart:.1f} times as far apart as the features of two "
        f"real images: the samples do not approach the data.{_look_at_samples(setting)} Try {_any_of(remedies)}",
    )


def _diverging(report: Mapping[str, float], setting: Setting) -> Diagnostic | None:
    networks = ("discriminator/", "generator/")
    monitors = ("discriminator/real_distance", "discriminator/generated_distance", "discriminator/feature_distance")
    large = {name: v for name, v in report.items() if name.startswith(networks) and name not in monitors and v > 100}
    if not large:
        return None
    listed = ", ".join(f"{name} is {value:.0f}" for name, value in large.items())
    remedies = {_smaller_lr(setting): True, **_larger_epsilon(setting), **_full_precision(setting)}
    kept = "; the samples of earlier epochs and the last two checkpoints are kept" if setting.checkpoints else ""
    return Diagnostic("losses diverge", f"{listed}: training diverges. Try {_any_of(remedies)}{kept}")


def _matches(report: Mapping[str, float]) -> bool:
    """Whether the generator's loss has feature matching already."""
    return "generator/feature_matching" in report


def _more_generator_updates(setting: Setting, *, wanted: bool = True) -> dict[str, bool]:
    if setting.generator_updates is None:
        return {}
    num = setting.generator_updates + 1
    return {f"{num} generator updates per discriminator update (--generator-updates {num})": wanted}


def _larger_epsilon(setting: Setting) -> dict[str, bool]:
    return {"Adam's epsilon at 1e-4": setting.adam_epsilon < 1e-4}


def _full_precision(setting: Setting) -> dict[str, bool]:
    return {"--precision float32" if setting.checkpoints else "precision='float32'": not setting.float32}


def _smaller_lr(setting: Setting, network: str | None = None) -> str:
    """A recipe has a learning rate for each network, the estimator one for both."""
    if not setting.checkpoints:
        return "a smaller learning_rate"
    field = " (`discriminator_lr_scale`)" if network == "discriminator" else ""
    third = f" (--learning-rate {setting.learning_rate / 3:.2g})" if setting.learning_rate else ""
    return "a smaller learning rate" + (f" for the {network}{field}" if network else third)


def _look_at_samples(setting: Setting) -> str:
    return " Look at the sample grid." if setting.checkpoints else " Look at the images of sample()."


def _any_of(remedies: Mapping[str, bool]) -> str:
    """Those that the run does not have yet, as a list in words."""
    *first, last = [words for words, holds in remedies.items() if holds]
    return f"{', '.join(first)} or {last}" if first else last


def not_finite(names: list[str], step: int, last_checkpoint: str | None, *, setting: Setting = Setting()) -> str:
    """The message for a loss that is not finite.

    >>> not_finite(["generator/feature_matching"], 7, None).startswith("generator/feature_matching is not finite")
    True
    """
    kept = f"The last good checkpoint, {last_checkpoint}, is kept" if last_checkpoint else "No checkpoint was made yet"
    return (
        f"{', '.join(names)} is not finite at step {step}: training has diverged and was stopped. {kept}. "
        f"Try {_any_of({_smaller_lr(setting): True, **_larger_epsilon(setting), **_full_precision(setting)})}"
    )
