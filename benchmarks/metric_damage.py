"""Which metric reacts to which damage: real images, damaged in known ways, against other real images.

    python benchmarks/metric_damage.py --data cifar10-jpeg.tar.xz --out runs/metric_damage
    python benchmarks/metric_damage.py --out runs/metric_damage --report docs/images/metric-damage.png

The network is EfficientNet-Lite0 with its ImageNet weights (examples/lite0.py) on images scaled to --side pixels. The
reference is --num training images, each damaged set has --num test images. Features of each set are a file in --out,
and files that exist are not computed again. Changes are reported in standard deviations between undamaged sets of the
same size, so that the metrics can be compared: random halves of all test images; what two halves share makes their
differences smaller, which a factor corrects. `--samples NAME=FOLDER` adds a folder of images, such as a generator's.
"""

import argparse
import importlib
import io
import json
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image, ImageFilter
from torch import Tensor

from improved_gan.data.cifar10 import load_cifar10
from improved_gan.metrics import (
    FeatureStatistics,
    cmmd,
    density_coverage,
    frechet_distance,
    inception_score,
    kernel_inception_distance,
    memorization,
    precision_recall,
    vendi_score,
)

sys.path.insert(0, str(Path(__file__).parents[1] / "examples"))
HIGHER = ("score", "precision", "recall", "coverage")  # is better than lower
AS_REAL = ("density", "Vendi", "near-copies")  # is best: any change is for the worse
Damage = Callable[[Image.Image], Image.Image]
Table = dict[str, dict[str, float]]


def jpeg(image: Image.Image, quality: int) -> Image.Image:
    buffer = io.BytesIO()
    image.save(buffer, format="JPEG", quality=quality)
    return Image.open(buffer).convert("RGB")


def noise(image: Image.Image, std: float) -> Image.Image:
    pixels = np.asarray(image, dtype=np.float64)
    source = np.random.default_rng(int(pixels.sum()))
    return Image.fromarray((pixels + source.normal(0, std, pixels.shape)).round().clip(0, 255).astype(np.uint8))


DAMAGES: dict[str, Damage] = {
    "blur, radius 0.7": lambda image: image.filter(ImageFilter.GaussianBlur(0.7)),
    "JPEG, quality 20": partial(jpeg, quality=20),
    "noise, std 16 of 255": partial(noise, std=16.0),
}


class Outputs:
    """Features and logits of sets of images, each in a file of its own."""

    def __init__(self, folder: Path, side: int) -> None:
        import onnxruntime

        self.folder, self.side = folder, side
        graph = folder / f"lite0-{side}.onnx"
        if not graph.exists():  # three times as fast as in PyTorch on a processor without AVX-512
            network, example = importlib.import_module("lite0").network, torch.zeros(2, 3, side, side)
            torch.onnx.export(
                network, (example,), graph, dynamic_shapes=({0: "N"},), external_data=False, input_names=["images"]
            )
        settings = onnxruntime.SessionOptions()
        settings.intra_op_num_threads = torch.get_num_threads()
        self.session = onnxruntime.InferenceSession(graph, settings, providers=["CPUExecutionProvider"])

    def __call__(self, name: str, images: list[Image.Image]) -> tuple[Tensor, Tensor]:
        """(N, 1280) and (N, 1000) float32."""
        file = self.folder / f"{name.replace(' ', '_').replace(',', '')}-{len(images)}-{self.side}.npz"
        if not file.exists():
            parts = [self._run(images[start : start + 50]) for start in range(0, len(images), 50)]
            features, logits = (np.concatenate(some) for some in zip(*parts, strict=True))
            unfinished = file.with_suffix(".part.npz")
            np.savez(unfinished, features=features, logits=logits)
            unfinished.rename(file)
            print(f"{name}: {len(images)} images", flush=True)
        with np.load(file) as stored:
            return torch.from_numpy(stored["features"]), torch.from_numpy(stored["logits"])

    def _run(self, images: list[Image.Image]) -> Any:
        size = self.side, self.side
        pixels = np.stack([np.asarray(one.resize(size, Image.Resampling.BICUBIC)) for one in images])
        return self.session.run(None, {"images": pixels.transpose(0, 3, 1, 2).astype(np.float32)})


def measure(outputs: tuple[Tensor, Tensor], real: Tensor) -> dict[str, float]:
    """All metrics of a set."""
    features, logits = outputs
    realistic, dense, size = precision_recall(features, real), density_coverage(features, real), len(features) // 5
    return {
        "score": inception_score(logits.double().softmax(1), 1).mean,
        "FD": frechet_distance(FeatureStatistics.of(features), FeatureStatistics.of(real)),
        "1000 KID": 1000 * kernel_inception_distance(features, real, subsets=20, subset_size=size).mean,
        "CMMD": cmmd(features, real),
        "precision": realistic.precision,
        "recall": realistic.recall,
        "density": dense.density,
        "coverage": dense.coverage,
        "Vendi": vendi_score(features),
        "near-copies": memorization(features, real).near_copy,
    }


def undamaged(outputs: tuple[Tensor, Tensor], real: Tensor, num: int, sets: int) -> tuple[dict[str, float], Any]:
    """Mean and standard deviation between random sets of `num` images."""
    found = []
    for seed in range(sets):
        rows = torch.from_numpy(np.random.RandomState(seed).permutation(len(outputs[0]))[:num])
        found.append(measure((outputs[0][rows], outputs[1][rows]), real))
    finite = 1 / np.sqrt(1 - num / len(outputs[0]))  # draws without replacement from few images vary less
    means = {name: float(np.mean([one[name] for one in found])) for name in found[0]}
    return means, {name: float(finite * np.std([one[name] for one in found], ddof=1)) for name in means}


def run(options: argparse.Namespace) -> None:
    """Compute what is missing, then all metrics, into metric-damage.json."""
    data, num = load_cifar10(options.data), options.num
    compute = Outputs(options.out, options.side)
    order = [np.random.RandomState(0).permutation(len(part)) for part in (data.train, data.test)]
    reference = [as_pillow(data.train.images[row]) for row in order[0][:num]]
    tested = [as_pillow(data.test.images[row]) for row in order[1][: 2 * num]]
    real, real_logits = compute("reference", reference)
    features, logits = every = compute("test", tested)
    means, scale = undamaged(every, real, num, options.sets)
    table = {"undamaged": means}
    for name, damage in DAMAGES.items():
        table[name] = measure(compute(name, [damage(one) for one in tested[:num]]), real)
    labels = data.test.labels[torch.from_numpy(order[1][: 2 * num])]
    half = torch.nonzero(labels < len(data.class_names) // 2)[:num, 0]
    table["half of the classes missing"] = measure((features[half], logits[half]), real)
    twice = torch.arange(num // 2).repeat(2)
    table["every image twice"] = measure((features[twice], logits[twice]), real)
    for name, rows in (("half of the images one image", torch.zeros(num // 2).long()), ("half memorized", twice)):
        chosen, source = rows[: num // 2], (features, logits) if "one image" in name else (real, real_logits)
        mixed = [torch.cat([one[num // 2 : num], other[chosen]]) for one, other in zip(every, source, strict=True)]
        table[name] = measure((mixed[0], mixed[1]), real)
    for name, folder in (text.split("=", 1) for text in options.samples):
        files = sorted(path for path in Path(folder).rglob("*") if path.suffix.lower() in (".png", ".jpg", ".jpeg"))
        table[name] = measure(compute(name, [Image.open(file).convert("RGB") for file in files[:num]]), real)
    settings = {"num": num, "side": options.side, "sets": options.sets, "half_has": len(half)}
    content = {"settings": settings, "table": table, "std_of_undamaged": scale}
    (options.out / "metric-damage.json").write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")


def as_pillow(image: Tensor) -> Image.Image:
    return Image.fromarray(image.permute(1, 2, 0).numpy())


def report(content: dict[str, Any], plot: Path) -> None:
    """The values as a Markdown table, the changes as a plot."""
    from matplotlib.figure import Figure

    table, scale = content["table"], content["std_of_undamaged"]
    metrics, damages = list(scale), [name for name in table if name != "undamaged"]
    print("| set | " + " | ".join(metrics) + " |\n|---|" + "---|" * len(metrics))
    for name, row in table.items():
        print(f"| {name} | " + " | ".join(f"{row[metric]:#.3g}".rstrip(".") for metric in metrics) + " |")
    print("| standard deviation, undamaged | " + " | ".join(f"{scale[metric]:.2g}" for metric in metrics) + " |")
    worse = worsening(table, scale)
    figure = Figure(figsize=(10, 1.2 + 0.45 * len(damages)), layout="constrained")
    panel = figure.subplots()
    shown = np.sign(worse) * np.log10(1 + np.abs(worse))
    drawn = panel.imshow(shown, cmap="RdBu_r", vmin=-3, vmax=3, aspect="auto")
    panel.set_xticks(range(len(metrics)), metrics, fontsize=9)
    panel.set_yticks(range(len(damages)), damages, fontsize=9)
    for (row_index, column), value in np.ndenumerate(worse):
        color = "white" if abs(shown[row_index, column]) > 1.8 else "black"
        text = f"{value:+.1f}" if abs(value) < 9.95 else f"{value:+.0f}"
        panel.text(column, row_index, text, ha="center", va="center", fontsize=9, color=color)
    title = "change for the worse (red) or the better (blue), in standard deviations between undamaged sets"
    panel.set_title(title, fontsize=9)
    bar = figure.colorbar(drawn, ax=panel, ticks=[-3, -2, -1, 0, 1, 2, 3])
    bar.ax.set_yticklabels(["-1000", "-100", "-10", "0", "10", "100", "1000"], fontsize=8)
    figure.savefig(plot, dpi=110)


def worsening(table: Table, scale: dict[str, float]) -> np.ndarray:
    """(damages, metrics): the change in standard deviations, positive where a user would read it as worse."""
    rows = [row for name, row in table.items() if name != "undamaged"]
    signs, fine = np.array([-1 if metric in HIGHER else 1 for metric in scale]), table["undamaged"]
    changes = signs * np.array([[(row[metric] - fine[metric]) / scale[metric] for metric in scale] for row in rows])
    result: np.ndarray = np.where([metric in AS_REAL for metric in scale], np.abs(changes), changes)
    return result


def main() -> None:
    """Run, or report."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=None, help="CIFAR-10, in any form that the library reads")
    parser.add_argument("--num", type=int, default=2500, help="images of a set, and of the reference")
    parser.add_argument("--side", type=int, default=128, help="pixels that images are scaled to")
    parser.add_argument("--sets", type=int, default=6, help="undamaged sets, drawn with other seeds")
    parser.add_argument("--samples", action="append", default=[], metavar="NAME=FOLDER", help="more sets of images")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--out", type=Path, default=Path("runs/metric_damage"))
    parser.add_argument("--report", type=Path, default=None, help="write the plot here and print the table")
    options = parser.parse_args()
    if options.report is not None:
        report(json.loads((options.out / "metric-damage.json").read_text(encoding="utf-8")), options.report)
        return
    torch.set_num_threads(options.threads)
    options.out.mkdir(parents=True, exist_ok=True)
    run(options)


if __name__ == "__main__":
    main()
