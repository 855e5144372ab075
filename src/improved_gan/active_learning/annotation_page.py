"""A page for labeling images by hand: one HTML file that needs no network, no server and no installation.

Images, style and script are inside it. File and class names reach the page as JSON and are shown as text, never as
HTML; the page's own policy forbids every other script and every connection.
"""

import base64
import hashlib
import io
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from string import Template

import numpy as np
from PIL import Image

from improved_gan.active_learning.query import Prediction
from improved_gan.data.images import decode_image
from improved_gan.data.value_range import ValueRange

__all__ = ["AnnotationImage", "annotation_page", "image_data_uri"]

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
