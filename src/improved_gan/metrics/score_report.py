"""The Inception score from its sums: mean, standard deviation, interval, the two entropies, the limit, and warnings.

    log score = H(y) - H(y|x): the entropy of the marginal p(y) (variety) less the mean entropy of p(y|x) (clarity).

With few images the marginal follows the images, so the score is too low. To first order (a Taylor expansion of H around
the true marginal; Miller and Madow's correction where p(y|x) is one-hot)

    log score(infinity) = log score(n) + (1/2n) sum_k (E[p_k^2] - q_k^2) / q_k.
"""

import math
from dataclasses import dataclass

import torch
from torch import Tensor

__all__ = ["ScoreReport", "has_low_confidence", "report"]

FEW_IMAGES = 5_000
LOW_CONFIDENCE = 0.3  # of the way from the uniform distribution, 1/K, to certainty, 1


@dataclass(frozen=True)
class ScoreReport:
    """An Inception score with its interval, entropies and warnings.

    Attributes:
        mean, std: over the splits, population standard deviation. The standard deviation is no confidence interval.
        interval: 95% bootstrap interval of `mean` over images (other images from the same source, as many); None
            without replicates.
        pooled: the score of all images in one split.
        extrapolated: what `pooled` tends to with infinitely many images.
        conditional_entropy: mean entropy of p(y|x) in nats: low where single images are classified with confidence.
        marginal_entropy: entropy of p(y) in nats, at most log K: high where the classes are varied.
        num_images, num_splits, num_classes: N, S, K.
        confidence: mean over the images of the largest p(y|x).
        missing_classes: classes that are the most probable one of no image.
        warnings: reasons to doubt the score, in words.
    """

    mean: float
    std: float
    interval: tuple[float, float] | None
    pooled: float
    extrapolated: float
    conditional_entropy: float
    marginal_entropy: float
    num_images: int
    num_splits: int
    num_classes: int
    confidence: float
    missing_classes: tuple[int, ...]
    warnings: tuple[str, ...]


def report(sums: Tensor, squares: Tensor, argmax_class: Tensor, confidence: Tensor) -> ScoreReport:
    """The report from the sums of `InceptionScore`, which are described there.

    Args:
        sums: (S, 1 + B, 2 + K) float64.
        squares: (K,) float64.
        argmax_class: (K,) float64.
        confidence: () float64.
    """
    scores = information(sums).exp()  # (S, 1 + B)
    pooled_sums = sums[:, 0].sum(0)
    num_images, marginal = float(pooled_sums[0]), pooled_sums[2:] / pooled_sums[0]
    marginal_entropy = -float(torch.special.xlogy(marginal, marginal).sum())
    conditional_entropy = -float(pooled_sums[1]) / num_images
    log_pooled = marginal_entropy - conditional_entropy
    excess = _variance_ratio(squares / num_images, marginal, num_images)
    return ScoreReport(
        mean=float(scores[:, 0].mean()),
        std=float(scores[:, 0].std(correction=0)),
        interval=_interval(scores),
        pooled=math.exp(log_pooled),
        extrapolated=math.exp(log_pooled + excess / (2 * num_images)),
        conditional_entropy=conditional_entropy,
        marginal_entropy=marginal_entropy,
        num_images=int(num_images),
        num_splits=len(sums),
        num_classes=len(marginal),
        confidence=float(confidence) / num_images,
        missing_classes=tuple((argmax_class == 0).nonzero().flatten().tolist()),
        warnings=_warnings(sums, excess, float(confidence) / num_images),
    )


def information(sums: Tensor) -> Tensor:
    """(..., 2 + K) sums -> (...) H(y) - H(y|x) in nats; 0 where there is no image."""
    counts = sums[..., :1].clamp(min=1)
    marginal = sums[..., 2:] / counts
    nats: Tensor = sums[..., 1] / counts[..., 0] - torch.special.xlogy(marginal, marginal).sum(-1)
    return nats


def has_low_confidence(confidence: float, num_classes: int) -> bool:
    """Whether a mean largest probability is as low as that of a network on images unlike its training data.

    >>> has_low_confidence(0.6, 2), has_low_confidence(0.6, 1000)
    (True, False)
    """
    uniform = 1 / num_classes
    return num_classes > 1 and confidence - uniform < LOW_CONFIDENCE * (1 - uniform)


def _variance_ratio(mean_square: Tensor, marginal: Tensor, num_images: float) -> float:
    """The sum over classes of the variance of p_k over q_k: K - 1 where p(y|x) is one-hot, 0 where it is constant."""
    seen = marginal > 0
    variance = (mean_square - marginal.square()).clamp(min=0) * num_images / max(num_images - 1, 1)
    return float((variance[seen] / marginal[seen]).sum())


def _interval(scores: Tensor) -> tuple[float, float] | None:
    """Percentiles of the replicates around their own mean: repeated images lower all replicates equally."""
    if scores.shape[1] < 3:
        return None
    mean, replicates = scores[:, 0].mean(), scores[:, 1:].mean(0)
    low, high = torch.quantile(replicates - replicates.mean(), torch.tensor([0.025, 0.975], dtype=torch.float64))
    return max(1.0, float(mean + low)), float(mean + high)


def _warnings(sums: Tensor, excess: float, confidence: float) -> tuple[str, ...]:
    num_splits, num_images, num_classes = len(sums), int(sums[:, 0, 0].sum()), sums.shape[2] - 2
    found = []
    if _sorted(sums[:, 0], excess):
        found.append(
            "the splits differ far more than images in random order would: are the images sorted by class? "
            "Shuffle them, or the score means little"
        )
    if num_images < FEW_IMAGES:
        found.append(f"only {num_images} images: the score grows with their number; 50,000 are usual, 5,000 the least")
    if num_splits > 1 and num_images / num_splits < num_classes:
        found.append(
            f"splits of {num_images // num_splits} images are too small for {num_classes} classes: "
            "take fewer splits or more images"
        )
    if has_low_confidence(confidence, num_classes):
        found.append(
            f"the network has a low confidence on these images (mean largest probability {confidence:.2f}): they may "
            "be unlike its training data; compare its confidence on real images"
        )
    return tuple(found)


def _sorted(sums: Tensor, excess: float) -> bool:
    """Whether the marginals of the splits differ too much: 2 sum_s n_s KL(q_s || q) against its mean by chance."""
    if len(sums) < 2 or excess <= 0:
        return False
    pooled = sums.sum(0)
    marginals, marginal = sums[:, 2:] / sums[:, :1], pooled[2:] / pooled[0]
    divergences = (torch.special.xlogy(marginals, marginals) - torch.special.xlogy(marginals, marginal)).sum(1)
    statistic = 2 * float((sums[:, 0] * divergences).sum())
    by_chance = (len(sums) - 1) * excess
    unlikely = statistic > by_chance * max(2.0, 1 + 8 * math.sqrt(2 / by_chance))
    return unlikely and float(divergences.mean()) > 0.02
