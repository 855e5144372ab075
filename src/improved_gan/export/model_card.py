"""The model card: provenance, input and outputs, and evaluation of a network; Markdown and JSON."""

import platform
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import torch

from improved_gan import __version__
from improved_gan.export.export_module import ExportSpec

__all__ = ["card_of", "evaluation_of", "labels_of", "markdown", "one_line", "versions"]

AUTHORS = "Salimans, Goodfellow, Zaremba, Cheung, Radford, Chen"
PAPER = f"{AUTHORS}: Improved Techniques for Training GANs, 2016, arXiv:1606.03498"
LICENSE = "TO BE FILLED IN: the license under which you publish these weights; consider that of the training data too"

_UPRIGHT = "not included: first rotate images by EXIF and blend transparent ones onto white, then"
_RESIZE = {
    "folder": f"{_UPRIGHT} crop the largest central square and scale it to this size (Pillow, bicubic), as "
    "`train-folder` and `classify` do",
    "other": f"{_UPRIGHT} scale the whole image to this size (Pillow, bicubic), as `classify --resize` does",
}


def versions(*packages: str) -> dict[str, str]:
    """Versions of Python, this package, PyTorch, and the named packages that are installed."""
    from importlib.metadata import PackageNotFoundError, version

    found = {"python": platform.python_version(), "improved-gan": __version__, "torch": torch.__version__}
    for name in packages:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


def card_of(
    spec: ExportSpec,
    settings: Mapping[str, Any],
    log: Sequence[Mapping[str, Any]],
    *,
    step: int,
    weights_sha256: str,
    layout: str,
    packages: Mapping[str, str],
) -> dict[str, Any]:
    """The card without the facts about the file itself (name, bytes, SHA-256, differences).

    Args:
        spec: the exported network.
        settings: settings of the run, from its recipe.json.
        log: log entries of the run.
        step: step of the checkpoint.
        weights_sha256: hash of the network's tensors.
        layout: layout of images.
        packages: versions, from `versions`.
    """
    embedding = settings.get("embedding")
    shape = [int(size) for size in spec.source.shape[1:]] if embedding else settings["image_shape"]
    channels, height, width = (shape[2], *shape[:2]) if embedding and layout == "nhwc" else shape
    of_folder = settings["recipe"] == "folder" or embedding is not None
    classes, last = list(settings["class_names"]), log[-1] if log else {}
    of_a_gan = settings["values"].get("generator") is not None
    untrained = {} if of_a_gan else {"real_score": {"meaning": "of no use: no GAN was trained"}}
    return {
        "what": spec.what,
        "layout": layout,
        "input": _tensor_facts(spec.source),
        "outputs": [{**_tensor_facts(one), **untrained.get(one.name, {})} for one in spec.outputs],
        "classes": classes,
        "image": {"height": height, "width": width, "channels": channels},
        "crop": "central square" if settings["recipe"] == "folder" else "none",
        "values": values_of(settings),
        "resize": f"{_UPRIGHT} {embedding['resize'].partition(', mean')[0]}"
        if embedding
        else _RESIZE["folder" if settings["recipe"] == "folder" else "other"],
        "training": {
            "recipe": settings["recipe"],
            "data": "custom image folder" if of_folder else settings["values"].get("load_data"),
            "data_sha256": settings.get("data_sha256"),
            "training_images": _num_training(settings["label_split"]),
            "labels": labels_of(settings["label_split"], classes),
            "objective": settings["values"].get("objective"),
            "gan": of_a_gan,
            "epochs": last.get("epoch"),
            "epochs_planned": settings["epochs"],
            "step": step,
            "seed": settings["seed"],
            "diagnostics": [diagnostic["message"] for diagnostic in last.get("diagnostics", [])],
        },
        "evaluation": {**evaluation_of(last), "paper": settings.get("description", {}).get("paper")},
        "method": {"paper": PAPER, "code": f"improved-gan {settings['improved_gan']}"},
        "weights_sha256": weights_sha256,
        "versions": dict(packages),
        "license": LICENSE,
    }


def values_of(settings: Mapping[str, Any]) -> dict[str, Any] | None:
    """Pixel values of black and white, and their conversion to bytes; None for 8-bit files."""
    if settings.get("value_range") is None:
        return None
    low, high = settings["value_range"]
    return {
        "low": low,
        "high": high,
        "bytes": f"round(255 * clip((v - {low:.17g}) / ({high:.17g} - {low:.17g}), 0, 1)) of each value v of the file, "
        "before cropping and resizing",
    }


def evaluation_of(last: Mapping[str, Any]) -> dict[str, Any]:
    """Error rate and number of errors of the last report, on test images or, for custom images, validation images."""
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


def _tensor_facts(one: Any) -> dict[str, Any]:
    return {"name": one.name, "dtype": one.dtype, "shape": list(one.shape), "meaning": one.meaning}


def labels_of(split: Mapping[str, Any], classes: Sequence[str]) -> dict[str, Any]:
    """Number of labels, number of each class, seed and SHA-256 of the split."""
    counts = Counter(int(label) for label in split.get("labels", []))
    return {
        "number": split.get("num_labels"),
        "per_class": {name: counts[index] for index, name in enumerate(classes) if counts[index]},
        "split_seed": split.get("seed"),
        "split_sha256": split.get("sha256"),
    }


def markdown(card: Mapping[str, Any]) -> str:
    """The card as Markdown."""
    training, evaluation, labels = card["training"], card["evaluation"], card["training"]["labels"]
    error, part = evaluation["error"], evaluation["part"]
    measured = "not measured" if error is None else f"{error:.2%} ({evaluation['wrong']} wrong) of the {part} images"
    values = card["values"]
    levels = "" if values is None else f" Values of image files become bytes (not included): `{values['bytes']}`."
    made = (
        ""
        if values is None
        else (f"A byte b means the value {values['low']:g} + b / 255 * ({values['high']:g} - {values['low']:g}).")
    )
    reading = (
        made if card["what"] == "generator" else f"Division by 255 is included.{levels} Resizing is {card['resize']}."
    )
    classes = ", ".join(f"`{one_line(name)}`" for name in card["classes"]) or "none"
    order = ", in the order of the probabilities" if card["what"] == "classifier" else " of the training"
    agreement = f"{max(card['largest_difference'].values()):.1e} ({card['checked_in']})"
    content = f", SHA-256 of their content `{training['data_sha256']}`" if training["data_sha256"] else ""
    diagnostics = "".join(f"\n- **Warning in the last report:** {one_line(one)}" for one in training["diagnostics"])
    kind = "semi-supervised GAN" if training["gan"] else "run that trains no GAN"
    length = f"{training['epochs']} of {training['epochs_planned']} epochs"
    return f"""# {one_line(card["file"])}

The {card["what"]} of a {kind}, recipe `{one_line(training["recipe"])}`, \
exported from a run of improved-gan.

| | name | type | shape | meaning |
|---|---|---|---|---|
{_row("input", card["input"])}
{chr(10).join(_row("output", one) for one in card["outputs"])}

N is any number of rows. Images are {card["image"]["width"]} x {card["image"]["height"]} pixels with
{card["image"]["channels"]} channel(s). {reading}

Classes{order}: {classes}.

## Training

- Data: `{one_line(training["data"])}`, {training["training_images"]} training images{content}.
- Labels: {labels["number"]}; split seed {labels["split_seed"]}, SHA-256 `{labels["split_sha256"]}`.
- {length}, step {training["step"]}, seed {training["seed"]}.{diagnostics}
- Method: {PAPER}. Code: {card["method"]["code"]}.

## Evaluation

- Error of the run's classifier: {measured}; the paper: {one_line(evaluation["paper"])}.
- Not measured: images from other sources (other cameras, other people). Probabilities are not calibrated.
- Largest difference between the outputs of the file and of the trained network: {agreement}.

## License

{card["license"]}

## File

{card["bytes"]:,} bytes, SHA-256 `{card["sha256"]}`; weights `{card["weights_sha256"]}`.
Made with {", ".join(f"{name} {version}" for name, version in card["versions"].items())}.
"""


def _row(kind: str, facts: Mapping[str, Any]) -> str:
    shape = f"({', '.join(map(str, facts['shape']))}{',' if len(facts['shape']) == 1 else ''})"
    return f"| {kind} | `{facts['name']}` | {facts['dtype']} | {shape} | {facts['meaning']} |"


def one_line(value: Any) -> str:
    """A name in one line, so that it cannot start a heading, a table row or a tag."""
    return " ".join(str(value).replace("`", "'").replace("<", "&lt;").replace("|", "\\|").split())
