"""Classify images with an exported network: onnxruntime, NumPy and Pillow, and nothing of improved-gan.

improved-gan export runs/digits --out digits.onnx
python examples/run_onnx.py digits.onnx samples/images/*.png
"""

import argparse
import json
from pathlib import Path

import numpy as np
import onnxruntime
from PIL import Image


def read(file: Path, height: int, width: int, channels: int) -> np.ndarray:
    with Image.open(file) as image:
        resized = image.convert("RGB" if channels == 3 else "L").resize((width, height), Image.Resampling.BICUBIC)
    return np.asarray(resized, dtype=np.uint8).reshape(height, width, channels)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("network", type=Path)
    parser.add_argument("images", type=Path, nargs="+")
    options = parser.parse_args()
    session = onnxruntime.InferenceSession(options.network, providers=["CPUExecutionProvider"])
    classes = json.loads(session.get_modelmeta().custom_metadata_map["classes"])
    _, height, width, channels = session.get_inputs()[0].shape
    images = np.stack([read(file, height, width, channels) for file in options.images])
    probabilities, realness = session.run(["probabilities", "realness"], {"images": images})
    for file, p, real in zip(options.images, probabilities, realness, strict=True):
        print(f"{file}: {classes[p.argmax()]} ({p.max():.1%}), realness {real:.1%}")


if __name__ == "__main__":
    main()
