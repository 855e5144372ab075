"""Images per second from a folder to the Inception score, and seconds for the Fréchet distance, and other libraries.

All times are CPU times, those of reading processes included, so that other work on the machine counts little.
`--network 16` measures forms of the network alone on 16 images: torch-fidelity's, ours (batch norm folded, channels
last), and ours frozen, compiled, and in ONNX Runtime.

    python benchmarks/metrics.py --folder IMAGES --images 2000 --threads 2 --out metrics.json

All use the same random weights (random_inception.py) and the same images; in each round every program processes the
next part of the images, so that other work on the machine affects all alike (in multiples of 32, or ours computes
more). torch-fidelity and torchmetrics are measured if they are installed (docs/metrics/parity.md), scipy's matrix
square root always.
"""

import argparse
import importlib.util
import io
import json
import os
import shutil
import sys
import tempfile
import warnings
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import torch
from PIL import Image
from rich.console import Console
from torch import Tensor

sys.path.insert(0, str(Path(__file__).parent))

from random_inception import random_weights

from improved_gan.cli.evaluate import EvaluateOptions
from improved_gan.cli.evaluation import run_evaluation
from improved_gan.metrics import FeatureStatistics, frechet_distance
from improved_gan.metrics.inception import Inception2015
from improved_gan.metrics.inception_onnx import onnx_runtime

Program = Callable[[Path], float]
_KEPT: list[Any] = []


def cpu_seconds() -> float:
    """Of this process and of those that it started and that have ended."""
    return sum(os.times()[:4])


def ours(weights: Path, precision: str) -> Program:
    def score(folder: Path) -> float:
        with tempfile.TemporaryDirectory() as cache:
            options = EvaluateOptions(
                (folder,), weights=weights, precision=precision, num_splits=1, cache=Path(cache), device="cpu"
            )
            card = run_evaluation(options, Console(file=io.StringIO()))
        if card["network"]["precision"] != precision:
            print(f"  {precision} was refused by the check: {card['warnings'][0]}")
        return float(card["metrics"]["is"]["mean"])

    return score


def torch_fidelity(weights: Path) -> Program:
    import torch_fidelity as fidelity

    def score(folder: Path) -> float:
        found = fidelity.calculate_metrics(
            input1=str(folder), isc=True, isc_splits=1, cuda=False, batch_size=32, cache=False, verbose=False,
            feature_extractor_weights_path=str(weights), samples_find_ext="png,jpg,jpeg",
        )  # fmt: skip
        return float(found["inception_score_mean"])

    return score


def torchmetrics(weights: Path) -> Program:
    from torchmetrics.image.fid import NoTrainInceptionV3
    from torchmetrics.image.inception import InceptionScore

    def score(folder: Path) -> float:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            metric = InceptionScore(feature=NoTrainInceptionV3("i", ["logits_unbiased"], str(weights)), splits=1)
        files = sorted(folder.iterdir())
        for start in range(0, len(files), 32):
            some = [np.array(Image.open(file).convert("RGB")) for file in files[start : start + 32]]
            metric.update(torch.from_numpy(np.stack(some)).permute(0, 3, 1, 2).contiguous())
        return float(metric.compute()[0])

    return score


def cure_torchvision() -> None:
    """Declare two operators without which torchvision cannot be imported if its compiled part is missing."""
    library: Any = torch.library.Library("torchvision", "FRAGMENT")  # type: ignore[no-untyped-call]
    for name in ("nms", "qnms"):
        library.define(f"{name}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
    _KEPT.append(library)


def programs(weights: Path) -> dict[str, Program]:
    found: dict[str, Program] = {"ours float32": ours(weights, "float32"), "ours bfloat16": ours(weights, "bfloat16")}
    if all(importlib.util.find_spec(name) for name in ("torch_fidelity", "torchvision")):
        cure_torchvision()
        found["torch-fidelity"] = torch_fidelity(weights)
        if importlib.util.find_spec("torchmetrics"):
            found["torchmetrics"] = torchmetrics(weights)
    else:
        print("torch-fidelity is not installed: ours alone")
    return found


def end_to_end(folder: Path, num: int, rounds: int, without: list[str]) -> dict[str, Any]:
    """Images per second and the score of each round, for each program."""
    files = sorted(path for path in folder.rglob("*") if path.suffix.lower() in (".png", ".jpg", ".jpeg"))
    chosen = np.random.RandomState(0).permutation(len(files))[:num]
    with tempfile.TemporaryDirectory() as name:
        weights = Path(name) / "weights.pth"
        torch.save(random_weights(), weights)
        parts = []
        for index, places in enumerate(np.array_split(chosen, rounds)):
            parts.append(Path(name) / f"part{index}")
            parts[-1].mkdir()
            for place in places:
                shutil.copy(files[place], parts[-1] / f"{place:06d}{files[place].suffix.lower()}")
        found: dict[str, Any] = {}
        scorers = {program: score for program, score in programs(weights).items() if program not in without}
        for part in parts:
            for program, score in scorers.items():
                started = cpu_seconds()
                value = score(part)
                seconds = cpu_seconds() - started
                entry = found.setdefault(program, {"images_per_second": [], "score": []})
                entry["images_per_second"].append(len(list(part.iterdir())) / seconds)
                entry["score"].append(value)
                print(f"  {program:16s} {entry['images_per_second'][-1]:7.2f} images/s   score {value:.6f}", flush=True)
    return found


def forms_of_the_network(weights: Path) -> dict[str, Callable[[Tensor], Any]]:
    """Prepared images -> features and logits, in several forms of the same network."""
    network = Inception2015(torch.load(weights, weights_only=True))
    forms: dict[str, Callable[[Tensor], Any]] = {"ours, PyTorch": network}
    by_onnx_runtime = onnx_runtime(network)
    if by_onnx_runtime is not None:
        forms["ours, ONNX Runtime"] = by_onnx_runtime
    traced = torch.jit.trace(network, torch.zeros(2, 3, 299, 299), check_trace=False)  # type: ignore[no-untyped-call]
    forms["ours, torch.jit.freeze"] = torch.jit.freeze(traced)
    forms["ours, torch.compile"] = torch.compile(network)
    if importlib.util.find_spec("torch_fidelity"):
        cure_torchvision()
        from torch_fidelity.feature_extractor_inceptionv3 import FeatureExtractorInceptionV3

        theirs = FeatureExtractorInceptionV3("i", ["2048", "logits_unbiased"], str(weights))
        forms["torch-fidelity"] = lambda x: theirs(x)
    return forms


@torch.inference_mode()
def network_alone(num: int, rounds: int) -> dict[str, list[float]]:
    """CPU seconds of each form on one batch, interleaved; the first round, which compiles, is left out."""
    source = torch.Generator().manual_seed(0)
    images = torch.randint(0, 256, (num, 3, 299, 299), dtype=torch.uint8, generator=source)
    prepared = (images.float() - 128) / 128
    with tempfile.TemporaryDirectory() as name:
        weights = Path(name) / "weights.pth"
        torch.save(random_weights(), weights)
        forms = forms_of_the_network(weights)
    seconds: dict[str, list[float]] = {name: [] for name in forms}
    for index in range(rounds + 1):
        for name, form in forms.items():
            started = cpu_seconds()
            form(images if name == "torch-fidelity" else prepared)
            seconds[name] += [cpu_seconds() - started] if index else []
    for name, one in seconds.items():
        print(f"  {name:24s} {num / median(one):6.2f} images a second of one processor")
    return seconds


def frechet(size: int, rounds: int) -> dict[str, Any]:
    """Seconds and values of our distance, of scipy's matrix square root, and by eigenvalues of the product."""
    import scipy.linalg

    source = torch.Generator().manual_seed(0)
    scales = torch.linspace(0.1, 2, size, dtype=torch.float64)
    sets = [torch.randn(2 * size, size, generator=source, dtype=torch.float64) * scales + i * 0.1 for i in range(2)]
    first, second = (FeatureStatistics.of(one) for one in sets)
    c1, c2 = first.covariance.numpy(), second.covariance.numpy()
    shift = (first.mean - second.mean).numpy()
    rest = float(shift @ shift + np.trace(c1) + np.trace(c2))
    methods: dict[str, Callable[[], float]] = {
        "ours": lambda: frechet_distance(first, second),
        "scipy.linalg.sqrtm": lambda: rest - 2 * float(np.trace(scipy.linalg.sqrtm(c1 @ c2)).real),
        "eigvals of the product": lambda: (
            rest - 2 * float(np.sqrt(np.linalg.eigvals(c1 @ c2).astype(complex)).real.sum())
        ),
    }
    found: dict[str, Any] = {name: {"seconds": [], "value": []} for name in methods}
    for _ in range(rounds):
        for name, method in methods.items():
            started = cpu_seconds()
            found[name]["value"].append(method())
            found[name]["seconds"].append(cpu_seconds() - started)
            print(f"  {name:24s} {found[name]['seconds'][-1]:8.2f} s   {found[name]['value'][-1]:.9f}", flush=True)
    return found


def main() -> None:
    """Print the tables and write the JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--folder", type=Path, help="images, of one size for torchmetrics; without it no end-to-end measurement"
    )
    parser.add_argument("--images", type=int, default=2000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--network", type=int, default=0, help="images of a batch; 0 leaves this measurement out")
    parser.add_argument("--features", type=int, default=2048)
    parser.add_argument("--frechet-rounds", type=int, default=1)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--without", action="append", default=[], help="name of a program to leave out")
    parser.add_argument("--out", type=Path, default=Path("metrics.json"))
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    results: dict[str, Any] = {"threads": options.threads, "torch": torch.__version__, "images": options.images}
    if options.folder is not None:
        print(f"folder to score, {options.images} images in {options.rounds} parts")
        results["end_to_end"] = end_to_end(options.folder, options.images, options.rounds, options.without)
        base = results["end_to_end"].get("torch-fidelity")
        for name, entry in results["end_to_end"].items():
            entry["median"] = median(entry["images_per_second"])
            if base is not None:
                pairs = zip(entry["images_per_second"], base["images_per_second"], strict=True)
                entry["ratio"] = median(one / other for one, other in pairs)
                scores = zip(entry["score"], base["score"], strict=True)
                entry["difference"] = max(abs(one / other - 1) for one, other in scores)
                print(
                    f"{name:16s} {entry['ratio']:.2f} times torch-fidelity, score differs by {entry['difference']:.1e}"
                )
    if options.network:
        print(f"the network alone, {options.network} images")
        results["network"] = network_alone(options.network, options.rounds)
    if options.frechet_rounds:
        print(f"Fréchet distance, {options.features} features")
        results["frechet"] = frechet(options.features, options.frechet_rounds)
    options.out.write_text(json.dumps(results, indent=1))


if __name__ == "__main__":
    main()
