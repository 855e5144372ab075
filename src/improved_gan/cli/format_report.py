"""Print the report of `evaluate`: a table of all metrics, and their provenance."""

from typing import Any

from rich.console import Console
from rich.table import Table

from improved_gan.training.reporting import say, warn

__all__ = ["rows", "show"]


def show(report: dict[str, Any], console: Console) -> None:
    """Print table, provenance and warnings."""
    source, network, reference = report["source"], report["network"], report["reference"]
    say(console, f"{source['name']}: {source['images']} images" + _list(source))
    if reference is not None:
        number = f": {reference['images']} images" if "images" in reference else " (statistics)"
        say(console, f"against {reference['name']}{number}" + _list(reference))
    table = Table("metric", "value", "meaning", box=None, pad_edge=False)
    for row in rows(report["metrics"]):
        table.add_row(*row)
    console.print(table, highlight=False)
    say(
        console,
        f"network {network['name']} (sha256 {network['sha256'][:12]}), {network['precision']}; sums in float64; "
        f"resize: {network['resize']}",
    )
    for text in report["warnings"]:
        warn(console, text)


def rows(metrics: dict[str, Any]) -> list[tuple[str, str, str]]:
    """Name, value and meaning of every number."""
    makers = {
        "is": _score,
        "fid": _frechet,
        "kid": _kernel,
        "precision-recall": _precision_recall,
        "nearest": _nearest,
        "birthday": _birthday,
    }
    return [row for name, content in metrics.items() for row in makers[name](content)]


def _list(about: dict[str, Any]) -> str:
    """Conversions and skipped images as text."""
    parts = [f"{times} {name}" for name, times in about.get("conversions", {}).items()]
    parts += [f"{len(about['skipped'])} skipped"] if about.get("skipped") else []
    return f" ({', '.join(parts)})" if parts else ""


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
    images = f"{content['images']} against {'an unknown number of' if reference is None else reference} images"
    return [("Fréchet distance", f"{content['value']:.4f}", f"FID; 0 is best; {images}")]


def _kernel(content: dict[str, Any]) -> list[tuple[str, str, str]]:
    value = f"{content['mean']:.6f} ± {content['std']:.6f}"
    subsets = f"{content['subsets']} subsets of {content['subset_size']}"
    return [("kernel inception distance", value, f"KID; 0 is best; {subsets}")]


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


def _count(value: float | None) -> str:
    return "no upper bound" if value is None else f"{value:,.0f}"
