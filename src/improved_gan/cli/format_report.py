"""Print the report of `evaluate`: a table of all metrics, and their provenance."""

from typing import Any

from rich.console import Console
from rich.table import Table

from improved_gan.console import say, warn
from improved_gan.metrics.evaluation_rows import evaluation_rows

__all__ = ["show", "show_comparison"]


def show(report: dict[str, Any], console: Console) -> None:
    """Print table, provenance and warnings."""
    source, network, reference = report["source"], report["network"], report["reference"]
    say(console, f"{source['name']}: {source['images']} images" + _list(source))
    if reference is not None:
        number = " (statistics)" if reference.get("statistics") else f": {reference['images']} images"
        say(console, f"against {reference['name']}{number}" + _list(reference))
    table = Table("metric", "value", "meaning", box=None, pad_edge=False)
    for row in evaluation_rows(report["metrics"]):
        table.add_row(*row)
    console.print(table, highlight=False)
    say(
        console,
        f"network {_named(network)}, {network['precision']}; sums in float64; resize: {network['resize']}",
    )
    for text in report["warnings"]:
        warn(console, text)


def show_comparison(report: dict[str, Any], console: Console) -> None:
    """Print a table of the models' numbers, one of the differences, provenance and warnings."""
    comparison, models = report["comparison"], report["models"]
    letters = [chr(ord("A") + index) for index in range(len(models))]
    for letter, model in zip(letters, models, strict=True):
        say(
            console, f"{letter}: {model['source']['name']}: {model['source']['images']} images" + _list(model["source"])
        )
    table = Table("metric", *letters, box=None, pad_edge=False)
    for title, number in comparison["numbers"].items():
        table.add_row(title, *map(_with_interval, number["values"], number["intervals"]))
    console.print(table, highlight=False)
    differences = Table("difference", "metric", "value and 95% interval", "", box=None, pad_edge=False)
    for title, number in comparison["numbers"].items():
        for one in number["differences"]:
            pair = f"{letters[one['first']]} - {letters[one['second']]}"
            differences.add_row(pair, title, _with_interval(one["value"], one["interval"]), _clear(one["interval"]))
    console.print(differences, highlight=False)
    say(console, f"intervals from {comparison['replicates']} bootstrap replicates; * the interval does not contain 0")
    say(console, f"network {_named(report['network'])}; resize: {report['network']['resize']}")
    for text in dict.fromkeys([*report["warnings"], *(text for model in models for text in model["warnings"])]):
        warn(console, text)


def _named(network: dict[str, str]) -> str:
    """Its name, and the start of the digest where there is one."""
    return network["name"] + (f" (sha256 {network['sha256'][:12]})" if network["sha256"] else "")


def _with_interval(value: float | None, interval: list[float] | None) -> str:
    if value is None:
        return "-"
    return f"{value:.4g}" if interval is None else f"{value:.4g} ({interval[0]:.4g} .. {interval[1]:.4g})"


def _clear(interval: list[float] | None) -> str:
    return "*" if interval is not None and not interval[0] <= 0 <= interval[1] else ""


def _list(about: dict[str, Any]) -> str:
    """Conversions and skipped images as text."""
    parts = [f"{times} {name}" for name, times in about.get("conversions", {}).items()]
    parts += [f"{len(about['skipped'])} skipped"] if about.get("skipped") else []
    return f" ({', '.join(parts)})" if parts else ""
