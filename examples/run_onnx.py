"""Classify images with an exported network: onnxruntime, NumPy and Pillow, and nothing of improved-gan.

improved-gan export runs/digits --out digits.onnx
python examples/run_onnx.py digits.onnx samples/images/*.png
"""

import argparse
import json
from pathlib import Path

import numpy as np
import onnxruntime
from PIL import Image, ImageOps


def read(file: Path, height: int, width: int, channels: int, *, crop: bool) -> np.ndarray:
    """As in training: upright, on white where transparent, where the card says so the central square, scaled."""
    with Image.open(file) as opened:
        if crop:
            opened.draft(None, (2 * width, 2 * height))  # of a large JPEG, only what is needed
        image = ImageOps.exif_transpose(opened)
    if image.has_transparency_data:
        image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image.convert("RGBA")).convert("RGB")
    image = image.convert("RGB" if channels == 3 else "L")
    if crop:
        side = min(image.size)
        left, top = (image.width - side) // 2, (image.height - side) // 2
        image = image.crop((left, top, left + side, top + side))
    resized = image.resize((width, height), Image.Resampling.BICUBIC)
    return np.asarray(resized, dtype=np.uint8).reshape(height, width, channels)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("network", type=Path)
    parser.add_argument("images", type=Path, nargs="+")
    options = parser.parse_args()
    session = onnxruntime.InferenceSession(options.network, providers=["CPUExecutionProvider"])
    card = session.get_modelmeta().custom_metadata_map
    classes, crop = json.loads(card["classes"]), json.loads(card["crop"]) == "central square"
    _, height, width, channels = session.get_inputs()[0].shape
    images = np.stack([read(file, height, width, channels, crop=crop) for file in options.images])
    probabilities, realness = session.run(["probabilities", "realness"], {"images": images})
    for file, p, real in zip(options.images, probabilities, realness, strict=True):
        print(f"{file}: {classes[p.argmax()]} ({p.max():.1%}), realness {real:.1%}")


if __name__ == "__main__":
    main()
