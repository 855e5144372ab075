"""The results for a run as the report's template takes them: numbers, and images as data URIs."""

from typing import Any

import torch

from improved_gan.metrics.classification import (
    calibration,
    class_scores,
    confident_mistakes,
    confusion,
    wilson_interval,
)
from improved_gan.reports.evaluate_run import Evidence
from improved_gan.reports.image_encoding import data_uri
from improved_gan.reports.training_neighbors import compared_size

__all__ = ["classifier_findings", "neighbor_findings"]

_MOST_CLASSES = 25  # of a confusion matrix; above, the most frequent confusions are listed
_MISTAKES, _CONFUSIONS, _SAMPLES = 24, 25, 12


def classifier_findings(evidence: Evidence) -> dict[str, Any] | None:
    """Confusion, mistakes and calibration; None if the run has no classifier."""
    classified, data = evidence.classified, evidence.data
    if classified is None or data is None:
        return None
    probabilities, labels, names = classified.probabilities, classified.images.labels, list(data.class_names)
    predicted = probabilities.argmax(1)
    matrix = confusion(labels, predicted, len(names))
    mistakes = [
        {
            "src": data_uri(classified.images.images[index]),
            "true": names[labels[index]],
            "given": names[predicted[index]],
            "probability": float(probabilities[index].max()),
            "true_probability": float(probabilities[index, labels[index]]),
        }
        for index in confident_mistakes(probabilities, labels, _MISTAKES).tolist()
    ]
    wrong = int((predicted != labels).sum())
    return {
        "images": len(labels),
        "num_test": classified.num_test,
        "kind": data.test_kind,
        "wrong": wrong,
        "interval": wilson_interval(wrong, len(labels)),
        "names": names,
        "matrix": matrix.tolist() if len(names) <= _MOST_CLASSES else None,
        "confusions": _confusions(matrix, names),
        "scores": class_scores(matrix),
        "mistakes": mistakes,
        "calibration": calibration(probabilities, labels),
    }


def _confusions(matrix: torch.Tensor, names: list[str]) -> list[dict[str, Any]]:
    """The most frequent confusions of two classes, most frequent first."""
    off = matrix.clone().fill_diagonal_(0)
    counts, cells = off.flatten().sort(descending=True, stable=True)
    return [
        {"true": names[cell // len(names)], "given": names[cell % len(names)], "count": count}
        for count, cell in zip(counts[:_CONFUSIONS].tolist(), cells[:_CONFUSIONS].tolist(), strict=True)
        if count
    ]


def neighbor_findings(evidence: Evidence) -> dict[str, Any] | None:
    """Samples with their nearest training images; None if they were not compared."""
    found, data, samples = evidence.copy_check, evidence.data, evidence.samples
    if found is None or data is None or samples is None:
        return None
    order = found.samples.distances[:, 0].argsort(stable=True)  # nearest first, so that copies come first
    shown = torch.cat([order[: _SAMPLES // 2], order[len(order) // 2 :][: _SAMPLES - _SAMPLES // 2]]).tolist()
    rows = [
        {
            "sample": data_uri(samples[index]),
            "near": [
                {"src": data_uri(data.train.images[neighbor]), "distance": distance}
                for neighbor, distance in zip(
                    found.samples.indices[index].tolist(), found.samples.distances[index].tolist(), strict=True
                )
            ],
        }
        for index in shown
    ]
    height, width = compared_size(samples)
    return {
        "rows": rows,
        "samples": len(samples),
        "training": len(data.train),
        "unseen": 0 if found.unseen is None else len(found.unseen.distances),
        "copies": found.copies,
        "near_copy": found.near_copy,
        "near": found.near,
        "median": float(found.samples.distances[:, 0].median()),
        "unseen_median": None if found.unseen is None else float(found.unseen.distances[:, 0].median()),
        "reduced": None if (height, width) == tuple(samples.shape[2:]) else f"{width} x {height}",
    }
