"""Plot the test errors of `mnist-graph` by label split and number of labels, from the records in docs/runs.

    python benchmarks/mnist_graph_plot.py --out docs/images/mnist-graph-budgets.png

The color says whether label spreading gives most of the cluster of docs/runs/mnist-graph-splits.json the right class.
"""

import argparse
import json
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt

from improved_gan.reproduction.tables import TABLES

RUNS = Path(__file__).parent.parent / "docs" / "runs"
RIGHT, WRONG = "#0072b2", "#d55e00"


def read(name: str) -> Any:
    """A record in docs/runs."""
    return json.loads((RUNS / name).read_text(encoding="utf-8"))


def main() -> None:
    """Parse the arguments, read the records, draw."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args()
    clusters = read("mnist-graph-splits.json")
    records = [record for record in read("mnist.json") if record["recipe"] == "mnist-graph"]
    budgets = sorted(record["labels"] for record in records)
    figure, axes = plt.subplots(figsize=(7.5, 4), layout="constrained")
    for record in (*records, read("other.json")["mnist-graph-later-splits"]):
        column = budgets.index(record["labels"])
        lost = {
            row["split"]: 2 * row["wrong_in_cluster"] > clusters["cluster"]["images"]
            for row in clusters["labels"][str(record["labels"])]
        }
        for split in record["splits"]:
            shift = 0.03 * (split["split"] - 5.5)
            errors = split["errors"][str(record["epochs"])]
            axes.plot(column + shift, errors, "o", color=WRONG if lost[split["split"]] else RIGHT, markersize=5)
    for row in TABLES["mnist"].rows:
        if row.one is not None and row.labels in budgets:
            axes.errorbar(
                budgets.index(row.labels) - 0.32, row.one.mean, row.one.std, fmt="_", color="black", capsize=3
            )  # fmt: skip
    axes.plot([], [], "o", color=RIGHT, label="mnist-graph, a split whose barred sevens are right")
    axes.plot([], [], "o", color=WRONG, label="mnist-graph, a split whose barred sevens become twos")
    axes.errorbar([], [], [], fmt="_", color="black", capsize=3, label="the paper's GAN, mean ± standard deviation")
    axes.set(yscale="log", xlabel="labels", ylabel="errors of 10,000 test images")
    axes.set_xticks(range(len(budgets)), [str(labels) for labels in budgets])
    axes.set_yticks([60, 100, 200, 500, 1000, 2000], ["60", "100", "200", "500", "1,000", "2,000"])
    axes.minorticks_off()
    axes.grid(axis="y", alpha=0.3)
    axes.legend(fontsize=8)
    figure.savefig(options.out, dpi=120)


if __name__ == "__main__":
    main()
