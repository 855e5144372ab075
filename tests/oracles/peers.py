"""torch-fidelity and torchmetrics, if they are installed; they need torchvision.

Install them with the project in a separate environment (docs/metrics/parity.md), and run these tests there.
"""

import importlib.util
from typing import Any

import torch

_KEPT: list[torch.library.Library] = []


def peers_missing() -> bool:
    return any(importlib.util.find_spec(name) is None for name in ("torch_fidelity", "torchmetrics", "torchvision"))


def cure_torchvision() -> None:
    """Declare the operators that torchvision expects if its compiled part is missing."""
    if not _KEPT:
        library = torch.library.Library("torchvision", "FRAGMENT")
        for name in ("nms", "qnms"):
            library.define(f"{name}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
        _KEPT.append(library)


def fidelity_network(weights: str, features: tuple[str, ...] = ("2048", "logits_unbiased")) -> Any:
    """torch-fidelity's Inception with these weights."""
    cure_torchvision()
    from torch_fidelity.feature_extractor_inceptionv3 import FeatureExtractorInceptionV3

    return FeatureExtractorInceptionV3("inception-v3-compat", list(features), feature_extractor_weights_path=weights)
