"""How far a network in bfloat16 moves the score and the Fréchet distance, and how often a check lets it pass.

    python benchmarks/bfloat16_check.py --data cifar10-jpeg.tar.xz --out runs/bfloat16_check

The network is EfficientNet-Lite0 with its ImageNet weights (examples/lite0.py), convolutions in float32, bfloat16 and
float16, channels innermost, classifier in float32; --num test images and 2,500 training images as the reference, scaled
to --side pixels. Checks are made on --draws random sets of the test images, of several sizes. Outputs are files in
--out, and files that exist are not computed again.
"""

import argparse
import copy
import importlib
import json
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from improved_gan.data.cifar10 import load_cifar10
from improved_gan.metrics import FeatureStatistics, frechet_distance, inception_score
from improved_gan.metrics.evaluation_images import score_change

sys.path.insert(0, str(Path(__file__).parents[1] / "examples"))
FORMS = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}
SIZES, REFERENCE, BATCH = (64, 128, 256, 512), 2500, 50
OLD_TOLERANCE, TOLERANCE = 1e-3, 1e-2


@torch.inference_mode()
def outputs(images: Tensor, dtype: torch.dtype) -> tuple[Tensor, Tensor, float]:
    """Features and logits of (N, 3, H, W) uint8, both float32, and milliseconds of the processor for an image."""
    network = importlib.import_module("lite0").network
    rounded = copy.deepcopy(network).to(dtype).to(memory_format=torch.channels_last)
    started, parts = time.process_time(), []
    for some in torch.split(images, BATCH):
        x = ((some.float() - 127) / 128).to(dtype).contiguous(memory_format=torch.channels_last)
        parts.append(rounded.head(rounded.blocks(rounded.stem(x))).float().mean((2, 3)))
    features = torch.cat(parts)
    return features, network.classifier(features), 1000 * (time.process_time() - started) / len(images)


def scaled(images: Tensor, rows: np.ndarray, side: int) -> Tensor:
    """Rows of (N, 3, H, W) uint8, bicubic to (M, 3, side, side)."""
    pillow = [Image.fromarray(images[row].permute(1, 2, 0).numpy()) for row in rows]
    pixels = np.stack([np.asarray(one.resize((side, side), Image.Resampling.BICUBIC)) for one in pillow])
    return torch.from_numpy(pixels).permute(0, 3, 1, 2).contiguous()


def computed(options: argparse.Namespace) -> dict[str, dict[str, Any]]:
    """For each form of the network, features and logits of the test images, and features of the reference."""
    data, found = load_cifar10(options.data), {}
    tested = np.random.RandomState(0).permutation(len(data.test.images))[: options.num]
    real = np.random.RandomState(0).permutation(len(data.train.images))[:REFERENCE]
    for name, dtype in FORMS.items():
        file = options.out / f"{name}-{options.num}-{options.side}.pt"
        if not file.exists():
            features, logits, milliseconds = outputs(scaled(data.test.images, tested, options.side), dtype)
            reference = outputs(scaled(data.train.images, real, options.side), dtype)[0]
            torch.save({"features": features, "logits": logits, "real": reference, "ms": milliseconds}, file)
        found[name] = torch.load(file, weights_only=True)
    return found


def passes(exact: Tensor, rounded: Tensor, size: int, draws: int) -> dict[str, float]:
    """Fractions of draws in which the change alone, and the change with two standard errors, is small enough."""
    source, found = torch.Generator().manual_seed(0), []
    for _ in range(draws):
        rows = torch.randperm(len(exact), generator=source)[:size]
        change, error = score_change(rounded[rows], exact[rows])
        scores = [inception_score(one[rows].double().softmax(1), 1).mean for one in (rounded, exact)]
        bound = abs(change) + 2 * error
        found.append((change, error, abs(scores[0] / scores[1] - 1) < OLD_TOLERANCE, bound < TOLERANCE))
    changes, errors, old, new = np.array(found, dtype=float).T
    return {
        "change": changes.mean(),
        "std": changes.std(ddof=1),
        "standard_error": errors.mean(),
        "old": old.mean(),
        "new": new.mean(),
    }


def main() -> None:
    """Print the tables and write the JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=None, help="CIFAR-10, in any form that the library reads")
    parser.add_argument("--num", type=int, default=2000)
    parser.add_argument("--side", type=int, default=128)
    parser.add_argument("--draws", type=int, default=200)
    parser.add_argument("--out", type=Path, default=Path("runs/bfloat16_check"))
    options = parser.parse_args()
    torch.set_num_threads(1)
    options.out.mkdir(parents=True, exist_ok=True)
    forms, report = computed(options), {}
    exact = forms["float32"]
    for name, form in forms.items():
        score = inception_score(form["logits"].double().softmax(1), 1).mean
        statistics = [FeatureStatistics.of(one) for one in (form["features"], form["real"], exact["real"])]
        distances = [frechet_distance(statistics[0], other) for other in statistics[1:]]
        moved = float((form["features"] - exact["features"]).norm() / exact["features"].norm())
        change, error = score_change(form["logits"], exact["logits"])
        report[name] = {"score": score, "change": change, "standard_error": error, "moved": moved, "ms": form["ms"]}
        report[name] |= {"FD": distances[0], "FD to float32": distances[1]}
        print(name, {key: float(f"{value:.5g}") for key, value in report[name].items()}, flush=True)
        for size in SIZES if name != "float32" else ():
            report[name][f"check of {size}"] = found = passes(exact["logits"], form["logits"], size, options.draws)
            print(f"  {size} images", {key: round(float(value), 4) for key, value in found.items()}, flush=True)
    (options.out / "bfloat16-check.json").write_text(json.dumps(report, indent=1, default=float) + "\n")


if __name__ == "__main__":
    main()
