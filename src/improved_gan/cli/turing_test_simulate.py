"""`improved-gan turing-test simulate`: judges of known skill or preference, to plan a study with."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from improved_gan.cli.options import option
from improved_gan.cli.turing_test_answers import by_name, number, seed_option, write

if TYPE_CHECKING:
    from rich.console import Console

__all__ = ["SimulateOptions", "simulate"]


@dataclass(frozen=True)
class SimulateOptions:
    """The options of `turing-test simulate`."""

    judges: int = option(40, help="Number of judges.", min=1)
    trials: int = option(50, help="Answers per judge.", min=1)
    design: str = option("yes-no", help="yes-no, odd-one-out or preference.")
    accuracy: tuple[str, ...] = option((), help="Mean accuracy, or NAME=ACCURACY; may be repeated for several models.")
    score: tuple[str, ...] = option((), help="Preference: NAME=SCORE (log odds), for two models or more.")
    adaptive: bool = option(False, help="Preference: choose pairs by the answers so far.")
    feedback_gain: float = option(0.0, help="Increase of d' by feedback until the last trial.")
    studies: int = option(
        1, help="Number of simulated studies; above 1, print the coverage of the 95% intervals.", min=1
    )
    seed: int = seed_option()
    out: Path | None = option(None, help="Write the simulated votes to this CSV file.", written="file")


def simulate(options: SimulateOptions, console: "Console") -> None:
    """Simulate judges of known accuracy: print the report, the true values, and the number of judges a study needs.

    Example: `improved-gan turing-test simulate --accuracy cifar=0.787 --judges 40`.
    """
    from improved_gan.turing_test.report import make_report
    from improved_gan.turing_test.report_formats import report_text
    from improved_gan.turing_test.simulation import Population, coverage
    from improved_gan.turing_test.simulation import simulate as simulate_votes
    from improved_gan.turing_test.votes import votes_to_csv

    _check(options)
    judges, trials, seed = options.judges, options.trials, options.seed
    if options.design == "preference":
        _simulate_preferences(options)
        return
    accuracies = by_name(options.accuracy or ("0.7",), "--accuracy", default="generated")
    skills = {name: number(word, "--accuracy") for name, word in accuracies.items()}
    people = Population(skills, feedback_gain=options.feedback_gain)
    design = options.design.replace("-", "_")
    if options.studies > 1:
        found = coverage(people, judges=judges, trials=trials, studies=options.studies, seed=seed, design=design)
        for name, share in found.items():
            click.echo(f"{name}: the 95% interval contained the true value in {share:.1%} of {options.studies} studies")
        return
    votes = simulate_votes(people, judges=judges, trials=trials, seed=seed, design=design)
    click.echo(report_text(make_report(votes)))
    for name in skills:
        click.echo(
            f"true value of {name}: {people.true_accuracy(name, judges=judges, trials=trials, design=design):.1%} "
            f"correct, d' {people.true_sensitivity(name, judges=judges, trials=trials, design=design):.2f}"
        )
    _print_judges_needed(trials)
    if options.out is not None:
        write(options.out, votes_to_csv(votes))
        click.echo(f"written: {options.out}")


def _check(options: SimulateOptions) -> None:
    """Refuse options that the simulation would ignore.

    Raises:
        TuringTestError: there is one.
    """
    from improved_gan.turing_test.errors import TuringTestError

    preference = options.design == "preference"
    others = ("accuracy", "feedback_gain") if preference else ("score", "adaptive")
    for name in others:
        if getattr(options, name) != getattr(SimulateOptions(), name):
            raise TuringTestError(f"--{name.replace('_', '-')} has no effect in the design {options.design}")
    if options.studies > 1 and options.out is not None:
        raise TuringTestError("--out writes the answers of one study: leave out --studies, or --out")


def _print_judges_needed(trials: int) -> None:
    from improved_gan.turing_test.chance import judges_needed

    for comparison, words in (("chance", "above chance"), ("within", "between two models, same judges"),
                              ("between", "between two arms")):  # fmt: skip
        needed = judges_needed(trials, comparison=comparison)  # type: ignore[arg-type]
        click.echo(f"to detect 5 points {words} with {trials} trials each: {needed} judges (power 80%)")
    needed = judges_needed(trials, base=1 / 3)
    click.echo(f"to detect 5 points above chance with odd-one-out, {trials} trials each: {needed} judges (power 80%)")
    needed = judges_needed(trials)
    click.echo(f"to detect a preference of 55% for one of two models, {trials} pairs each: {needed} judges (power 80%)")


def _simulate_preferences(options: SimulateOptions) -> None:
    """The same for a study of pairs."""
    from improved_gan.turing_test.preferences import preferences_to_csv
    from improved_gan.turing_test.ranking import rank_models
    from improved_gan.turing_test.report_formats import ranking_text
    from improved_gan.turing_test.simulation import preference_coverage, simulate_preferences, true_scores

    given = by_name(options.score or ("a=0.5", "b=0", "c=-0.5"), "--score")
    scores = {name: number(word, "--score") for name, word in given.items()}
    words: dict[str, Any] = {"judges": options.judges, "trials": options.trials, "adaptive": options.adaptive}
    if options.studies > 1:
        found = preference_coverage(scores, studies=options.studies, seed=options.seed, **words)
        for name, share in found.items():
            click.echo(f"{name}: the 95% interval contained the true score in {share:.1%} of {options.studies} studies")
        return
    table = simulate_preferences(scores, seed=options.seed, **words)
    click.echo(ranking_text(rank_models(table, adaptive=options.adaptive)))
    for name, value in true_scores(scores).items():
        click.echo(f"true score of {name}: {value:.2f}")
    _print_judges_needed(options.trials)
    if options.out is not None:
        write(options.out, preferences_to_csv(table))
        click.echo(f"written: {options.out}")
