"""The cost of each technique in a training step of the small DCGAN in examples/.

    python benchmarks/technique_cost.py --threads 1 --out technique_cost.json

The steps are interleaved: each round has one step (both networks) of every example. Times are CPU time of this process,
which other programs on the machine affect less than wall-clock time. The result is the ratio of medians.
"""

import argparse
import importlib
import json
import sys
import time
from pathlib import Path
from statistics import median

import torch

sys.path.insert(0, str(Path(__file__).parent.parent / "examples"))

import dcgan

TECHNIQUES = (
    "adversarial",
    "feature_matching",
    "minibatch_discrimination",
    "historical_averaging",
    "label_smoothing",
    "virtual_batch_norm",
    "reference_batch",
    "semi_supervised",
    "weight_norm",
    "gaussian_noise",
    "weight_ema",
    "gradient_penalty",
    "minibatch_standard_deviation",
    "label_spreading",
    "image_deformation_model",
    "virtual_adversarial",
    "random_elastic_affine",
)
# What a technique is added to, where it is not the plain DCGAN.
WITHOUT = {
    "semi_supervised": "gaussian_noise",
    "weight_ema": "semi_supervised",
    "label_spreading": "semi_supervised",
    "image_deformation_model": "semi_supervised",
    "virtual_adversarial": "semi_supervised",
    "random_elastic_affine": "semi_supervised",
}


def measure(rounds: int, warm_up: int = 5) -> dict[str, float]:
    """Median seconds of CPU time for one training step of the plain DCGAN and of each example."""
    images = dcgan.digits()[0][:1297]
    gans = {"plain": dcgan.Gan()}
    gans |= {name: importlib.import_module(f"dcgan_{name}").make_gan() for name in TECHNIQUES}
    steps = {name: dcgan.training(gan, images) for name, gan in gans.items()}
    times: dict[str, list[float]] = {name: [] for name in gans}
    for _ in range(warm_up + rounds):
        for name, training in steps.items():
            start = time.process_time()
            next(training)
            times[name].append(time.process_time() - start)
    return {name: median(seconds[warm_up:]) for name, seconds in times.items()}


def main() -> None:
    """Print the table and write the JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=81)
    parser.add_argument("--out", type=Path, default=Path("technique_cost.json"))
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    torch.manual_seed(0)
    seconds = measure(options.rounds)
    print(f"{'technique':>25} {'ratio':>6} {'with':>9} {'without':>9}   added to")
    rows = []
    for name in TECHNIQUES:
        base = WITHOUT.get(name, "plain")
        row = {"technique": name, "added_to": base, "ratio": seconds[name] / seconds[base]}
        rows.append({**row, "with_seconds": seconds[name], "without_seconds": seconds[base]})
        figures = f"{row['ratio']:6.2f} {seconds[name] * 1e3:6.2f} ms {seconds[base] * 1e3:6.2f} ms"
        print(f"{name:>25} {figures}   {base}")
    facts = {"threads": options.threads, "torch": torch.__version__, "batch": dcgan.BATCH, "rounds": options.rounds}
    options.out.write_text(json.dumps({**facts, "rows": rows}, indent=2))


if __name__ == "__main__":
    main()
