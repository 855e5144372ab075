"""Print the report of `evaluate`: a table of all metrics (name, value and meaning), and their provenance."""

from typing import Any

from rich.console import Console
from rich.table import Table

from improved_gan.console import say, warn

__all__ = ["evaluation_rows", "show", "show_comparison"]


def evaluation_rows(metrics: dict[str, Any]) -> list[tuple[str, str, str]]:
    """Name, value and meaning of every number of `evaluate`, metric by metric."""
    return [row for name, content in metrics.items() for row in _ROWS[name](content)]


def _score(score: dict[str, Any]) -> list[tuple[str, str, str]]:
    splits = f"mean ± population standard deviation of {score['num_splits']} splits of {score['num_images']} images"
    missing = score["missing_classes"]
    found = [("Inception score", f"{score['mean']:.4f} ± {score['std']:.4f}", f"{splits}, {score['order']}")]
    if score["interval"] is not None:
        low, high = score["interval"]
        found.append(("  95% interval", f"{low:.4f} .. {high:.4f}", "bootstrap over images"))
    return [
        *found,
        ("  all in one split", f"{score['pooled']:.4f}", ""),
        ("  infinite images", f"{score['extrapolated']:.4f}", "extrapolated from the score of all images in one split"),
        ("  H(y|x)", f"{score['conditional_entropy']:.4f}", "nats; low: each image is assigned to one class"),
        ("  H(y)", f"{score['marginal_entropy']:.4f}", "nats; high: the classes are diverse"),
        ("  classes missing", f"{len(missing)} of {score['num_classes']}", "not the most probable class of any image"),
    ]


def _frechet(content: dict[str, Any]) -> list[tuple[str, str, str]]:
    reference = content["reference_images"]
    images = f"{_number(content['images']).removesuffix(' of')} against {_number(reference)} images"
    return [("Fréchet distance", f"{content['value']:.4f}", f"FID; 0 is best; {images}")]


def _kernel(content: dict[str, Any]) -> list[tuple[str, str, str]]:
    value = f"{content['mean']:.6f} ± {content['std']:.6f}"
    subsets = f"{content['subsets']} subsets of {content['subset_size']}"
    return [("kernel inception distance", value, f"KID; 0 is best; {subsets}")]


def _extrapolated_frechet(content: dict[str, Any]) -> list[tuple[str, str, str]]:
    sizes = content["sizes"]
    line = f"line over 1/N through {len(sizes)} subsets of {sizes[0]} to {sizes[-1]} images"
    return [
        ("Fréchet distance, infinite images", f"{content['value']:.4f}", f"FID infinity; 0 is best; {line}"),
        ("  bias", f"{content['bias']:.4f}", f"of the distance of {content['images']} images, by that line"),
    ]


def _cmmd(content: dict[str, Any]) -> list[tuple[str, str, str]]:
    images = f"{content['images']} against {content['reference_images']} images"
    return [("maximum mean discrepancy", f"{content['value']:.4f}", f"CMMD, Gaussian kernel; 0 is best; {images}")]


def _vendi(content: dict[str, Any]) -> list[tuple[str, str, str]]:
    real = "" if content["reference"] is None else f"; of the reference: {content['reference']:.4f}"
    return [("Vendi score", f"{content['value']:.4f}", f"effective number of different images{real}")]


def _density_coverage(content: dict[str, Any]) -> list[tuple[str, str, str]]:
    k = content["neighbors"]
    return [
        ("density", f"{content['density']:.4f}", f"real images whose ball a sample is in, over k = {k}; 1 as real"),
        ("coverage", f"{content['coverage']:.4f}", f"fraction of real images with a sample in their ball, k = {k}"),
    ]


def _precision_recall(content: dict[str, Any]) -> list[tuple[str, str, str]]:
    return [
        (
            "precision",
            f"{content['precision']:.4f}",
            f"fraction of samples within the real manifold, k = {content['neighbors']}",
        ),
        ("recall", f"{content['recall']:.4f}", "fraction of real images within the samples' manifold"),
    ]


def _nearest(content: dict[str, Any]) -> list[tuple[str, str, str]]:
    found = [
        (
            "near-copies",
            f"{content['near_copy']:.1%}",
            f"of a training image; expected of new images: {content['expected']:.1%}",
        ),
        ("copies", f"{content['copies']}", "samples at distance 0 from a training image"),
    ]
    for ours, theirs, distance in content["nearest"][:3]:
        found.append(("  nearest pair", f"{distance:.4f}", f"{ours}  and  {theirs}"))
    return found


def _birthday(content: dict[str, Any]) -> list[tuple[str, str, str]]:
    low, high = (_count(one) for one in content["interval"])
    found = [
        (
            "distinct samples",
            f"{content['distinct']}",
            f"{content['pairs']} near-duplicate pairs, distance below {content['threshold']:.4g}",
        ),
        ("  support size", _count(content["support"]), f"birthday paradox estimate; 95%: {low} .. {high}"),
    ]
    for one, other in content["nearest"][:3]:
        found.append(("  near-duplicates", "", f"{one}  and  {other}"))
    return found


def _number(images: int | None) -> str:
    """None: a file of statistics does not say how many."""
    return "an unknown number of" if images is None else str(images)


def _count(value: float | None) -> str:
    return "no upper bound" if value is None else f"{value:,.0f}"


_ROWS = {
    "is": _score,
    "fid": _frechet,
    "fid-infinity": _extrapolated_frechet,
    "kid": _kernel,
    "cmmd": _cmmd,
    "precision-recall": _precision_recall,
    "density-coverage": _density_coverage,
    "vendi": _vendi,
    "nearest": _nearest,
    "birthday": _birthday,
}


def show(report: dict[str, Any], console: Console) -> None:
    """Print table, provenance and warnings."""
    source, network, reference = report["source"], report["network"], report["reference"]
    say(console, f"{source['name']}: {_number(source['images'])} images" + _list(source))
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
        source = model["source"]
        say(console, f"{letter}: {source['name']}: {_number(source['images'])} images" + _list(source))
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
