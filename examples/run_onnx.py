"""
An exported classifier without PyTorch
======================================

Classify images with an exported network: onnxruntime, NumPy and Pillow, without improved-gan::

    improved-gan export runs/digits --out digits.onnx
    python examples/run_onnx.py digits.onnx samples/images/*.png
"""

import argparse
import json
from pathlib import Path

import numpy as np
import onnxruntime
from PIL import Image, ImageOps


def eight_bits(image: Image.Image, file: Path, values: dict[str, float] | None) -> Image.Image:
    """16 bits and floats to 8 bits, by the card's values of black and white; Pillow itself would clip at 255."""
    low, high = (values["low"], values["high"]) if values else (0, 65535 if image.mode[0] == "I" else 255)
    if image.mode[0] not in "IF" and (values is None or high > 255):
        if values is not None:
            raise SystemExit(f"{file} has 8 bits, and the network was trained on values from {low:g} to {high:g}")
        return image
    numbers = np.asarray(image if image.mode[0] in "IF" else image.convert("RGB"), dtype=np.float64)
    if image.mode == "F" and (values is None or not np.isfinite(numbers).all()):
        raise SystemExit(f"{file} has floating-point values whose black and white are not known, or NaN")
    return Image.fromarray(np.rint(np.clip(255 * (numbers - low) / (high - low), 0, 255)).astype(np.uint8))


def read(
    file: Path, height: int, width: int, channels: int, *, crop: bool, values: dict[str, float] | None = None
) -> np.ndarray:
    """As in training: EXIF orientation, transparency on white, the central square if `crop`, resized."""
    with Image.open(file) as opened:
        if crop:
            opened.draft(None, (2 * width, 2 * height))  # decode a large JPEG at reduced size
        image = eight_bits(ImageOps.exif_transpose(opened), file, values)
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
    values = json.loads(card["values"])
    _, height, width, channels = session.get_inputs()[0].shape
    images = np.stack([read(file, height, width, channels, crop=crop, values=values) for file in options.images])
    probabilities, real_score = session.run(["probabilities", "real_score"], {"images": images})
    for file, p, real in zip(options.images, probabilities, real_score, strict=True):
        print(f"{file}: {classes[p.argmax()]} ({p.max():.1%}), real_score {real:.1%}")


if __name__ == "__main__":
    main()
