from pathlib import Path

import pytest
import torch

from improved_gan.data import Dataset, LabeledImages
from improved_gan.reports.evaluate_run import ClassifiedImages, Evidence, gather
from improved_gan.reports.image_encoding import data_uri
from improved_gan.reports.page import classifier_findings, neighbor_findings
from improved_gan.runs import Run


def classified(labels: list[int], given: list[int], classes: int) -> Evidence:
    part = LabeledImages(torch.randint(256, (len(labels), 1, 4, 4), dtype=torch.uint8), torch.tensor(labels))
    data = Dataset("made", tuple(f"c{k}" for k in range(classes)), part, part)
    probabilities = torch.full((len(given), classes), 0.1 / (classes - 1), dtype=torch.float64)
    probabilities[torch.arange(len(given)), torch.tensor(given)] = 0.9
    return Evidence(1, ClassifiedImages(part, probabilities, len(labels), part.images), None, None, data, {})


def test_mistakes_carry_their_image_and_both_classes() -> None:
    evidence = classified([0, 1, 2], [0, 2, 2], 3)
    found = classifier_findings(evidence)
    (mistake,) = found["mistakes"]
    assert (mistake["true"], mistake["given"]) == ("c1", "c2")
    assert (mistake["probability"], mistake["true_probability"]) == pytest.approx((0.9, 0.05))
    assert mistake["src"] == data_uri(evidence.classified.images.images[1])
    assert found["wrong"] == 1
    assert found["matrix"] == [[1, 0, 0], [0, 0, 1], [0, 0, 1]]


def test_too_many_classes_for_a_matrix_are_told_as_confusions() -> None:
    found = classifier_findings(classified([0, 0, 1, 5, 30], [3, 3, 2, 5, 30], 40))
    assert found["matrix"] is None
    assert [(one["true"], one["given"], one["count"]) for one in found["confusions"]] == [
        ("c0", "c3", 2),
        ("c1", "c2", 1),
    ]


def test_nothing_found_is_none() -> None:
    nothing = Evidence(None, None, None, None, None, {"classifier": "why"})
    assert classifier_findings(nothing) is None
    assert neighbor_findings(nothing) is None


def test_neighbors_show_the_nearest_samples_first(small_runs: dict[str, Path]) -> None:
    evidence = gather(
        Run(small_runs["first"]), data_folder=None, device="cpu", say=lambda _: None, warn=pytest.fail, trust=True
    )
    found = neighbor_findings(evidence)
    assert len(found["rows"]) == 12
    first = [row["near"][0]["distance"] for row in found["rows"]]
    assert first[:6] == sorted(first[:6])
    assert first[0] == float(evidence.copy_check.samples.distances[:, 0].min())
    assert found["rows"][0]["near"][0]["src"].startswith("data:image/png")
    assert (found["samples"], found["training"], found["unseen"], found["reduced"]) == (200, 1297, 200, None)
