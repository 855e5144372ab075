"""A map of a run on embeddings: its photographs by class, and what the generator makes, on two principal components.

    python benchmarks/embedding_map.py runs/photos --out map.png

Reads the run folder only: neither photographs nor pretrained network are needed.
"""

import argparse
from pathlib import Path

import matplotlib.pyplot as plt
import torch

from improved_gan.data.embeddings import EMBEDDINGS_FILE, read_embeddings, read_scaling
from improved_gan.data.folder_snapshot import IMAGES_FILE, read_listing
from improved_gan.runs import Run


def main() -> None:
    """Write the map."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path)
    parser.add_argument("--out", type=Path, default=Path("map.png"))
    options = parser.parse_args()
    run = Run(options.run)
    networks = run.load(warn=print)
    kept = read_embeddings(options.run / EMBEDDINGS_FILE)
    label_of = {row[3]: row[2] for row in read_listing(options.run / IMAGES_FILE)}
    labels = [label_of.get(digest, "") for digest in kept.hashes]
    real = read_scaling(options.run / EMBEDDINGS_FILE)(torch.from_numpy(kept.features)).flatten(1)
    with torch.no_grad():
        latents = networks.generator.draw_latents(len(real), source=torch.Generator().manual_seed(0))
        generated = networks.generator(latents).flatten(1)
    _, _, axes = torch.linalg.svd(real - real.mean(0), full_matrices=False)
    places, of_generated = ((rows - real.mean(0)) @ axes[:2].T for rows in (real, generated))
    figure, plot = plt.subplots(figsize=(7, 4.5), layout="constrained")
    plot.scatter(of_generated[:, 0], of_generated[:, 1], s=14, marker="x", color="0.6", label="generated")
    for name in sorted(set(labels)):
        chosen = torch.tensor([label == name for label in labels])
        plot.scatter(places[chosen, 0], places[chosen, 1], s=16, label=name or "no label")
    plot.set(xlabel="first principal component", ylabel="second principal component")
    plot.legend(frameon=False)
    figure.savefig(options.out, dpi=90)


if __name__ == "__main__":
    main()
