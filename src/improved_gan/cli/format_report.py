"""Print the report of `evaluate`: a table of all metrics, and their provenance."""

from typing import Any

from rich.console import Console
from rich.table import Table

from improved_gan.metrics.evaluation_rows import evaluation_rows
from improved_gan.training.reporting import say, warn

__all__ = ["show"]


def show(report: dict[str, Any], console: Console) -> None:
    """Print table, provenance and warnings."""
    source, network, reference = report["source"], report["network"], report["reference"]
    say(console, f"{source['name']}: {source['images']} images" + _list(source))
    if reference is not None:
        number = f": {reference['images']} images" if "images" in reference else " (statistics)"
        say(console, f"against {reference['name']}{number}" + _list(reference))
    table = Table("metric", "value", "meaning", box=None, pad_edge=False)
    for row in evaluation_rows(report["metrics"]):
        table.add_row(*row)
    console.print(table, highlight=False)
    say(
        console,
        f"network {network['name']} (sha256 {network['sha256'][:12]}), {network['precision']}; sums in float64; "
        f"resize: {network['resize']}",
    )
    for text in report["warnings"]:
        warn(console, text)


def _list(about: dict[str, Any]) -> str:
    """Conversions and skipped images as text."""
    parts = [f"{times} {name}" for name, times in about.get("conversions", {}).items()]
    parts += [f"{len(about['skipped'])} skipped"] if about.get("skipped") else []
    return f" ({', '.join(parts)})" if parts else ""
