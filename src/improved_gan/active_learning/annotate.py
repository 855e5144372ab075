"""`improved-gan classify --annotate`: a page for labeling the images about whose class the network is least certain.

The page is one HTML file that needs no network, no server and no installation. Images, style and script are inside it.
File and class names reach the page as JSON and are shown as text, never as HTML; the page's own policy forbids every
other script and every connection.
"""

import base64
import hashlib
import io
import json
import shlex
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from string import Template
from typing import TypeVar

import numpy as np
import torch
from PIL import Image
from rich.console import Console

from improved_gan.active_learning.image_stream import Decode, ImageList
from improved_gan.active_learning.query import Prediction, least_certain
from improved_gan.active_learning.uncertainty_sampling import farthest_first
from improved_gan.console import say, warn
from improved_gan.data.dataset import DataError
from improved_gan.data.folder_layout import layout_of
from improved_gan.data.images import decode_image
from improved_gan.data.labels_file import read_labels
from improved_gan.data.value_range import ValueRange
from improved_gan.io import write_atomically
from improved_gan.runs import Networks, Run

__all__ = ["AnnotateOptions", "AnnotationImage", "annotation_page", "image_data_uri", "write_annotation_page"]


_HERE = Path(__file__).parent
_EDGE = 512  # longest edge of an embedded image, in pixels
_SMALL = 128  # images up to this edge are embedded as they are, without loss


@dataclass(frozen=True)
class AnnotationImage:
    """One image to be labeled.

    Attributes:
        name: as it will stand in the labels file.
        prediction: the network's.
        src: a data URI, from `image_data_uri`.
    """

    name: str
    prediction: Prediction
    src: str


def image_data_uri(content: bytes, name: object, values: ValueRange | None = None) -> str:
    """A data URI of an image file's content: upright, longest edge at most 512 pixels, without metadata.

    Args:
        content: of the file.
        name: for errors.
        values: pixel values of black and white, as in the network's input; None takes them from the file type.

    Raises:
        DataError: it cannot be decoded.
    """
    pixels = decode_image(content, name, channels=3, values=values).pixels.permute(1, 2, 0).numpy()
    image = Image.fromarray(np.ascontiguousarray(pixels))
    small = max(image.size) <= _SMALL
    image.thumbnail((_EDGE, _EDGE), Image.Resampling.LANCZOS)
    buffer = io.BytesIO()
    if small:
        image.save(buffer, format="PNG", optimize=True)
    else:
        image.save(buffer, format="JPEG", quality=85)
    kind = "png" if small else "jpeg"
    return f"data:image/{kind};base64,{base64.b64encode(buffer.getvalue()).decode()}"


def annotation_page(
    images: Sequence[AnnotationImage], class_names: Sequence[str], *, labels: Mapping[str, str], next_command: str
) -> str:
    """The page's text.

    Args:
        images: to be labeled, in the order in which they are shown.
        class_names: of the network; labels of an earlier file are offered beside them.
        labels: file -> label, of an earlier labels file; the download contains these too.
        next_command: the command that trains with the labels file, shown at the end; "" for none.

    >>> "<script>alert" in annotation_page([], ["</script><script>alert(1)"], labels={}, next_command="")
    False
    """
    data = {
        "id": _identity(images),
        # A labels file is read without outer spaces: with them, a label would be another class.
        "classes": list(dict.fromkeys([*(one.strip() for one in class_names), *sorted(set(labels.values()))])),
        "predicted": len(class_names),
        "earlier": dict(labels),
        "command": next_command,
        "images": [
            {
                "file": one.name,
                "p": one.prediction.probabilities,
                "real_score": one.prediction.real_score,
                "entropy": one.prediction.entropy,
                "src": one.src,
            }
            for one in images
        ],
    }
    text = json.dumps(data)  # ASCII: every other character is escaped
    for character in "<>&":
        text = text.replace(character, f"\\u{ord(character):04x}")
    style, script = ((_HERE / f"annotate.{kind}").read_text(encoding="utf-8") for kind in ("css", "js"))
    shell = Template((_HERE / "annotate.html").read_text(encoding="utf-8"))
    return shell.substitute(
        style=style, script=script, data=text, style_hash=_policy_hash(style), script_hash=_policy_hash(script)
    )


def _identity(images: Sequence[AnnotationImage]) -> str:
    """The key under which the browser stores progress: the same for the same images, another for another page."""
    text = json.dumps([(one.name, one.prediction.sha256) for one in images])
    return hashlib.sha256(text.encode()).hexdigest()[:24]


def _policy_hash(text: str) -> str:
    return f"sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}"


_POOL = 10  # with --diversity, N images are chosen among the 10 N most uncertain
_FEATURE_BATCH = 64
_Result = TypeVar("_Result")


@dataclass(frozen=True)
class AnnotateOptions:
    """How many images to show, whether to choose them for diversity, and a file of earlier labels."""

    num: int
    diversity: bool = False
    labels: Path | None = None


def write_annotation_page(
    run: Path,
    networks: Networks,
    images: ImageList,
    out: Path,
    options: AnnotateOptions,
    decode: Decode,
    console: Console,
    *,
    values: ValueRange | None = None,
) -> Path:
    """Write `OUT.annotate.html` beside the predictions, and print how to train with the new labels.

    Raises:
        DataError: the labels file cannot be read, or no image is left to label.
    """
    labels = _earlier_labels(options.labels, images, networks.run.class_names)
    names = {one for one in images.files() if images.within(one) in labels} if labels else set()
    wanted = options.num * (_POOL if options.diversity else 1)
    _warn_unwritable([images.within(one) for one in images.files() if one not in names], console)
    pool = least_certain(out, wanted, labeled=names, usable=lambda file: _writable(images.within(file)))
    if not pool:
        raise DataError(
            f"there is nothing to annotate: {len(names)} of {len(images)} images have a label (class folders, labels "
            "file), and the others are copies of these or have names that a labels file cannot hold"
        )
    if options.diversity:
        features = _features(networks, images, pool, decode)
        pool = [pool[index] for index in farthest_first(features, options.num)]
    data_uris = _collect(images, pool, lambda file, content: image_data_uri(content, file, values))
    shown = [
        AnnotationImage(images.within(one.file), one, data_uris[one.file]) for one in pool if one.file in data_uris
    ]
    command = _next_command(images, networks.run, values, options.labels)
    page = annotation_page(shown, networks.run.class_names, labels=labels, next_command=command)
    path = out.with_suffix(".annotate.html")
    write_atomically(path, page.encode())
    how = "most uncertain with distant features" if options.diversity else "most uncertain"
    say(
        console, f"{len(shown)} images to label, the {how}: open {path} in a browser ({max(1, len(page) // 1000):,} kB)"
    )
    _print_next_step(command, options.labels, console)
    return path


def _print_next_step(command: str, labels: Path | None, console: Console) -> None:
    file = "labels.csv" if labels is None else str(labels)
    if command:
        say(
            console,
            f"label them there and download labels.csv; save it here as {file}, and train again with the labels:",
        )
        say(console, f"  {command}")
    else:
        say(
            console,
            "label them there and download labels.csv; to train with it, put all images into one folder and run "
            "classify on that folder",
        )


def _earlier_labels(path: Path | None, images: ImageList, class_names: list[str]) -> dict[str, str]:
    """Label by name, as the page names images: from class folders, then from the labels file."""
    root, names, found = images.labels_root, images.labels_names, {}
    if root is not None:
        folders = zip(names, layout_of(names).classes, strict=True)
        found = {name: one for name, one in folders if one is not None and one in class_names and _writable(name)}
    return found if path is None else found | read_labels(path, names, root or Path())


def _writable(file: str) -> bool:
    """Whether a labels file can hold the name: it is UTF-8, and outer spaces of a name are lost."""
    return file == file.strip() and file == file.encode(errors="backslashreplace").decode()


def _warn_unwritable(files: list[str], console: Console) -> None:
    wrong = [repr(file.encode(errors="backslashreplace").decode()) for file in files if not _writable(file)]
    if wrong:
        listed = ", ".join(wrong[:5]) + (" ..." if len(wrong) > 5 else "")
        warn(console, f"left out of the page: a labels file cannot hold the name {listed} (not UTF-8, or outer spaces)")


def _features(networks: Networks, images: ImageList, pool: list[Prediction], decode: Decode) -> torch.Tensor:
    """f(x) of each image, (N, A): the discriminator's features."""
    decoded = _collect(images, pool, decode)
    device = next(networks.discriminator.parameters()).device
    blank = torch.zeros_like(next(iter(decoded.values()))) if decoded else torch.zeros(networks.run.image_shape)
    pixels = torch.stack([decoded.get(one.file, blank) for one in pool])
    with torch.no_grad():
        batches = torch.split(pixels, _FEATURE_BATCH)
        parts = [networks.discriminator(networks.inputs(some.to(device)).to(device)).features for some in batches]
    return torch.cat([part.flatten(1).float().cpu() for part in parts])


def _collect(images: ImageList, pool: list[Prediction], use: Callable[[str, bytes], _Result]) -> dict[str, _Result]:
    """`use(file, content)` for each image of the pool; those that can no longer be read are left out."""
    wanted, found = {one.file for one in pool}, {}
    for file, read in images.stream():
        if file in wanted and file not in found:
            try:
                found[file] = use(file, read())
            except (DataError, OSError):
                continue
    return found


def _next_command(images: ImageList, run: Run, values: ValueRange | None, labels: Path | None) -> str:
    """The command that trains with the labels; empty if several folders were classified (`--images` takes one)."""
    if images.labels_root is None:
        return ""
    parts = ["improved-gan", "train-folder", "--images", str(images.labels_root), "--labels"]
    parts += ["labels.csv" if labels is None else str(labels)]
    parts += [] if values is None else ["--value-range", str(values)]
    if (network := run.embedding) is not None:
        parts += ["--network", network["spec"], *(["--weights", network["weights"]] if network["weights"] else [])]
    return shlex.join([*parts, "--out", str(_unused(run.path))])


def _unused(run: Path) -> Path:
    """An unused name for the next run folder: a run with other labels cannot continue in the same folder."""
    number = next(number for number in count(2) if not run.with_name(f"{run.name}-{number}").exists())
    return run.with_name(f"{run.name}-{number}")
