"""The model card: where a network comes from, what it takes and gives, how good it is; Markdown and JSON."""

import platform
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import torch

from improved_gan import __version__
from improved_gan.export.export_module import ExportSpec

__all__ = ["card_of", "markdown", "versions"]

AUTHORS = "Salimans, Goodfellow, Zaremba, Cheung, Radford, Chen"
PAPER = f"{AUTHORS}: Improved Techniques for Training GANs, 2016, arXiv:1606.03498"
LICENCE = "TO BE FILLED IN: the license under which you publish these weights; look at that of the training data too"

_UPRIGHT = "not inside: first turn images upright (EXIF) and put them on white where they are transparent, then"
_RESIZE = {
    "folder": f"{_UPRIGHT} cut out the largest central square and scale it to this size (Pillow, bicubic), as "
    "`train folder` and `classify` do",
    "other": f"{_UPRIGHT} scale the whole image to this size (Pillow, bicubic), as `classify --resize` does",
}


def versions(*packages: str) -> dict[str, str]:
    """Of Python, this package, PyTorch, and the packages named that are installed."""
    from importlib.metadata import PackageNotFoundError, version

    found = {"python": platform.python_version(), "improved-gan": __version__, "torch": torch.__version__}
    for name in packages:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


def card_of(
    portable: ExportSpec,
    settings: Mapping[str, Any],
    log: Sequence[Mapping[str, Any]],
    *,
    step: int,
    weights_sha256: str,
    layout: str,
    packages: Mapping[str, str],
) -> dict[str, Any]:
    """All but what is known only of the file itself (name, bytes, SHA-256, differences).

    Args:
        portable: what is exported.
        settings: of the run, from its recipe.json.
        log: its reports.
        step: of the checkpoint.
        weights_sha256: of the network's tensors.
        layout: of images.
        packages: versions, from `versions`.
    """
    channels, height, width = settings["image_shape"]
    classes, last = list(settings["class_names"]), log[-1] if log else {}
    return {
        "what": portable.what,
        "layout": layout,
        "input": _facts(portable.source),
        "outputs": [_facts(one) for one in portable.outputs],
        "classes": classes,
        "image": {"height": height, "width": width, "channels": channels},
        "crop": "central square" if settings["recipe"] == "folder" else "none",
        "values": values_of(settings),
        "resize": _RESIZE["folder" if settings["recipe"] == "folder" else "other"],
        "training": {
            "recipe": settings["recipe"],
            "data": "images of one's own" if settings["recipe"] == "folder" else settings["values"].get("load_data"),
            "data_sha256": settings.get("data_sha256"),
            "training_images": _num_training(settings["label_split"]),
            "labels": _labels(settings["label_split"], classes),
            "objective": settings["values"].get("objective"),
            "epochs": last.get("epoch"),
            "epochs_planned": settings["epochs"],
            "step": step,
            "seed": settings["seed"],
            "diagnostics": [diagnostic["message"] for diagnostic in last.get("diagnostics", [])],
        },
        "evaluation": {**_evaluation(last), "paper": settings["values"].get("paper")},
        "method": {"paper": PAPER, "code": f"improved-gan {settings['improved_gan']}"},
        "weights_sha256": weights_sha256,
        "versions": dict(packages),
        "license": LICENCE,
    }


def values_of(settings: Mapping[str, Any]) -> dict[str, Any] | None:
    """Which values of image files are black and white, and how they become bytes; None where files have 8 bits."""
    if settings.get("value_range") is None:
        return None
    low, high = settings["value_range"]
    return {
        "low": low,
        "high": high,
        "bytes": f"round(255 * clip((v - {low:.17g}) / ({high:.17g} - {low:.17g}), 0, 1)) of each value v of the file, "
        "before cropping and resizing",
    }


def _evaluation(last: Mapping[str, Any]) -> dict[str, Any]:
    """Error and wrong images of the last report, on the test images or, for a user's own, the validation images."""
    part = next((one for one in ("test", "validation") if f"{one}/error" in last), None)
    return {
        "part": part,
        "error": last.get(f"{part}/error"),
        "wrong": last.get(f"{part}/num_errors"),
        "of": f"the {part or 'test'} images of the recipe, by the averaged weights, at the last report",
    }


def _num_training(split: Mapping[str, Any]) -> int | None:
    num = split.get("num_images")
    return None if num is None else int(num) - len(split.get("held_out", ()))


def _facts(one: Any) -> dict[str, Any]:
    return {"name": one.name, "dtype": one.dtype, "shape": list(one.shape), "meaning": one.meaning}


def _labels(split: Mapping[str, Any], classes: Sequence[str]) -> dict[str, Any]:
    counts = Counter(int(label) for label in split.get("labels", []))
    return {
        "number": split.get("num_labels"),
        "per_class": {name: counts[index] for index, name in enumerate(classes) if counts[index]},
        "split_seed": split.get("seed"),
        "split_sha256": split.get("sha256"),
    }


def markdown(card: Mapping[str, Any]) -> str:
    """The card to read."""
    training, evaluation, labels = card["training"], card["evaluation"], card["training"]["labels"]
    error, part = evaluation["error"], evaluation["part"]
    measured = "not measured" if error is None else f"{error:.2%} ({evaluation['wrong']} wrong) of the {part} images"
    values = card["values"]
    levels = "" if values is None else f" Values of image files become bytes (not inside): `{values['bytes']}`."
    made = (
        ""
        if values is None
        else (f"A byte b stands for the value {values['low']:g} + b / 255 * ({values['high']:g} - {values['low']:g}).")
    )
    reading = (
        made if card["what"] == "generator" else f"Division by 255 is inside.{levels} Resizing is {card['resize']}."
    )
    classes = ", ".join(f"`{_line(name)}`" for name in card["classes"]) or "none"
    order = ", in the order of the probabilities" if card["what"] == "classifier" else " that it was trained with"
    agreement = f"{max(card['largest_difference'].values()):.1e} ({card['checked_in']})"
    content = f", SHA-256 of their content `{training['data_sha256']}`" if training["data_sha256"] else ""
    diagnostics = "".join(f"\n- **Warning of the last report:** {_line(one)}" for one in training["diagnostics"])
    return f"""# {_line(card["file"])}

The {card["what"]} of a semi-supervised GAN, recipe `{_line(training["recipe"])}`, exported from a run of improved-gan.

| | name | type | shape | meaning |
|---|---|---|---|---|
{_row("input", card["input"])}
{chr(10).join(_row("output", one) for one in card["outputs"])}

N is any number of rows. Images are {card["image"]["width"]} x {card["image"]["height"]} pixels with
{card["image"]["channels"]} channel(s). {reading}

Classes{order}: {classes}.

## Training

- Data: `{_line(training["data"])}`, {training["training_images"]} training images{content}.
- Labels: {labels["number"]}; split seed {labels["split_seed"]}, SHA-256 `{labels["split_sha256"]}`.
- {training["epochs"]} of {training["epochs_planned"]} epochs, step {training["step"]}, seed {training["seed"]}.\
{diagnostics}
- Method: {PAPER}. Code: {card["method"]["code"]}.

## Evaluation

- Error of the run's classifier: {measured}; the paper: {_line(evaluation["paper"])}.
- Not measured: images from anywhere else (other cameras, other people). Probabilities are not calibrated.
- The file agrees with the network that was trained, to {agreement}.

## Licence

{card["license"]}

## File

{card["bytes"]:,} bytes, SHA-256 `{card["sha256"]}`; weights `{card["weights_sha256"]}`.
Made with {", ".join(f"{name} {version}" for name, version in card["versions"].items())}.
"""


def _row(kind: str, facts: Mapping[str, Any]) -> str:
    shape = f"({', '.join(map(str, facts['shape']))}{',' if len(facts['shape']) == 1 else ''})"
    return f"| {kind} | `{facts['name']}` | {facts['dtype']} | {shape} | {facts['meaning']} |"


def _line(value: Any) -> str:
    """A name in one line, so that it cannot begin a heading, a table row or a tag of its own."""
    return " ".join(str(value).replace("`", "'").replace("<", "&lt;").replace("|", "\\|").split())
