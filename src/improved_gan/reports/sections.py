"""What was found out about a run, as a page shows it: numbers, and pictures as data URIs."""

from typing import Any

import torch

from improved_gan.reports.classification import calibration, class_scores, confident_mistakes, confusion, share_interval
from improved_gan.reports.evaluate_run import Evidence
from improved_gan.reports.image_encoding import data_uri
from improved_gan.reports.training_neighbors import compared_size

__all__ = ["classifier_findings", "neighbor_findings"]

_MOST_CLASSES = 25  # of a confusion matrix; above, the most frequent confusions are listed
_MISTAKES, _CONFUSIONS, _SAMPLES = 24, 25, 12


def classifier_findings(evidence: Evidence) -> dict[str, Any] | None:
    """Confusion, mistakes and calibration; None where there is no classifier to speak of."""
    judged, data = evidence.judged, evidence.data
    if judged is None or data is None:
        return None
    probabilities, labels, names = judged.probabilities, judged.images.labels, list(data.class_names)
    predicted = probabilities.argmax(1)
    matrix = confusion(labels, predicted, len(names))
    mistakes = [
        {
            "picture": data_uri(judged.images.images[place]),
            "true": names[labels[place]],
            "given": names[predicted[place]],
            "probability": float(probabilities[place].max()),
            "true_probability": float(probabilities[place, labels[place]]),
        }
        for place in confident_mistakes(probabilities, labels, _MISTAKES).tolist()
    ]
    wrong = int((predicted != labels).sum())
    return {
        "images": len(labels),
        "num_test": judged.num_test,
        "kind": data.test_kind,
        "wrong": wrong,
        "interval": share_interval(wrong, len(labels)),
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
    counts, places = off.flatten().sort(descending=True, stable=True)
    return [
        {"true": names[place // len(names)], "given": names[place % len(names)], "count": count}
        for count, place in zip(counts[:_CONFUSIONS].tolist(), places[:_CONFUSIONS].tolist(), strict=True)
        if count
    ]


def neighbor_findings(evidence: Evidence) -> dict[str, Any] | None:
    """Samples with their nearest training images; None where they were not compared."""
    found, data, samples = evidence.memory, evidence.data, evidence.samples
    if found is None or data is None or samples is None:
        return None
    order = found.samples.distances[:, 0].argsort(stable=True)  # nearest first: a copy is seen at once
    shown = torch.cat([order[: _SAMPLES // 2], order[len(order) // 2 :][: _SAMPLES - _SAMPLES // 2]]).tolist()
    rows = [
        {
            "sample": data_uri(samples[place]),
            "near": [
                {"picture": data_uri(data.train.images[index]), "distance": distance}
                for index, distance in zip(
                    found.samples.indices[place].tolist(), found.samples.distances[place].tolist(), strict=True
                )
            ],
        }
        for place in shown
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
