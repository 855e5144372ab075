"""Memory, time and error of `LabelSpreadingClassifier` on many rows, and how many true neighbors its graph has.

    python benchmarks/label_spreading_memory.py [--rows 1000000] [--columns 512] [--graph auto] [--out FILE.json]

The rows are those of 100 clusters in 10 classes, float32, each cluster in its own subspace of 32 dimensions; 400 rows
have a label. The error is that of all other rows. Recall@10: of 500 rows' ten nearest neighbors among all, in the
principal components that the graph is made of, the share that the graph found; counted on a second graph of the same
rows and seed, after the memory was read.
"""

import argparse
import json
import platform
import resource
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch

from improved_gan.estimator import LabelSpreadingClassifier
from improved_gan.label_spreading.knn import approximate_neighbors, faiss_neighbors, principal_components

CLUSTERS, CLASSES, DIMENSIONS, NEIGHBORS, NUM_LABELS = 100, 10, 32, 10, 400


def clusters(rows: int, columns: int) -> tuple[np.ndarray, np.ndarray]:
    """Rows (rows, columns) float32 and their classes; made in pieces, so that nothing larger is in memory."""
    random = np.random.default_rng(0)
    centers = random.normal(size=(CLUSTERS, columns)).astype(np.float32)
    spaces = random.normal(size=(CLUSTERS, DIMENSIONS, columns)).astype(np.float32) / DIMENSIONS**0.5
    cluster = random.integers(CLUSTERS, size=rows)
    x = np.empty((rows, columns), np.float32)
    for one in range(CLUSTERS):
        (of_it,) = np.nonzero(cluster == one)
        x[of_it] = centers[one] + random.normal(size=(len(of_it), DIMENSIONS)).astype(np.float32) @ spaces[one]
    return x, cluster % CLASSES


def recall(x: np.ndarray, graph: str, components: int) -> float:
    """The share of the ten nearest neighbors of 500 rows that the graph has."""
    points = torch.from_numpy(x)
    points /= torch.linalg.vector_norm(points, dim=1, keepdim=True)  # in place: as the estimator scales embeddings
    points = principal_components(points, components)
    find = faiss_neighbors if graph == "faiss" else approximate_neighbors
    found = find(points, NEIGHBORS)
    rows = torch.arange(0, len(points), len(points) // 500)[:500]
    neighbors = next(part for part in found if not part.is_floating_point())[rows]
    distances = torch.cdist(points[rows].double(), points.double())
    distances[torch.arange(len(rows)), rows] = torch.inf
    exact = distances.topk(NEIGHBORS, largest=False).indices
    return (neighbors[:, :, None] == exact[:, None, :]).any(2).double().mean().item()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--columns", type=int, default=512)
    parser.add_argument("--graph", default="auto")
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    x, truth = clusters(options.rows, options.columns)
    y = np.full(len(x), -1)
    labeled = np.random.default_rng(1).choice(len(x), NUM_LABELS, replace=False)
    y[labeled] = truth[labeled]
    before = resource.getrusage(resource.RUSAGE_SELF)
    started = time.perf_counter()
    model = LabelSpreadingClassifier(graph=options.graph, scaling="embedding", random_state=0).fit(x, y)
    seconds = time.perf_counter() - started
    after = resource.getrusage(resource.RUSAGE_SELF)
    others = y == -1
    found: dict[str, Any] = {
        "rows": options.rows, "columns": options.columns, "graph": model.graph_, "labels": NUM_LABELS,
        "peak_gib": round(after.ru_maxrss / 2**20, 2), "of_it_before_gib": round(before.ru_maxrss / 2**20, 2),
        "processor_seconds": round(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime, 1),
        "seconds": round(seconds, 1), "error": round(float((model.transduction_ != truth)[others].mean()), 4),
        "processor": platform.processor() or platform.machine(), "torch": torch.__version__,
    }  # fmt: skip
    print(json.dumps(found))
    if model.graph_ != "exact":
        components = model.n_components
        del model
        found["recall_at_10"] = round(recall(x, found["graph"], components), 4)
        print(f"recall@10 {found['recall_at_10']}")
    if options.out:
        options.out.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
