"""K+1 classes, "generated" among them, from a discriminator with K outputs (paper, section 5).

The softmax over K+1 classes does not change when a constant is added to every logit, so l_{K+1} = 0. Then with
L(x) = logsumexp_k l_k(x) the probability of "real" is D(x) = Z/(Z + 1) = sigmoid(L(x)), Z = exp L, and

    L_supervised   = -E log p(y | x, y < K+1)
    L_unsupervised = -E_x log D(x) - E_z log(1 - D(G(z))) = E_x softplus(-L(x)) + E_z softplus(L(G(z)))

Use: the weighted sum of the two is the discriminator's loss; the generator is trained by feature matching.
"""

import torch
import torch.nn.functional as F
from torch import Tensor

from improved_gan.kernels.logits import class_logits as checked_class_logits
from improved_gan.kernels.precision import precise
from improved_gan.kernels.vmap_fallback import uses_reference_ops

__all__ = ["real_logit", "semi_supervised_losses"]

_IGNORES_NONE = -(2**62)  # by default cross entropy leaves out labels of -100 without a word


def real_logit(class_logits: Tensor) -> Tensor:
    """The logit of "this is a real example": L(x) = logsumexp_k l_k(x), so that D(x) = sigmoid(L(x)).

    Args:
        class_logits: (N, K) logits of the K real classes; the logit of "generated" is fixed at 0.

    Returns:
        (N,) L(x), in float32 or better.

    Raises:
        ValueError: not two-dimensional, or no classes.

    Source: paper, section 5, D(x) = Z(x)/(Z(x) + 1).

    >>> real_logit(torch.zeros(2, 10))
    tensor([2.3026, 2.3026])
    """
    return checked_class_logits(class_logits, "class_logits").logsumexp(1)


def semi_supervised_losses(
    labeled_logits: Tensor, labels: Tensor, unlabeled_logits: Tensor, generated_logits: Tensor
) -> tuple[Tensor, Tensor]:
    """The paper's two losses of the discriminator as classifier, unweighted.

    The released experiments minimize 1 * supervised + 0.5 * unsupervised.

    Args:
        labeled_logits: (N, K) class logits of labeled examples.
        labels: (N,) their classes, int64, 0 <= label < K.
        unlabeled_logits: (M, K) class logits of real examples without labels.
        generated_logits: (P, K) class logits of generated examples.

    Returns:
        (), () the supervised and the unsupervised loss, in nats.

    Raises:
        TypeError: labels are not integers.
        ValueError: shapes that disagree, an empty batch, or a label outside 0..K-1.

    Source: paper, section 5, L_supervised and L_unsupervised.

    >>> losses = semi_supervised_losses(torch.zeros(4, 1), torch.zeros(4).long(), torch.zeros(4, 1), torch.zeros(4, 1))
    >>> [round(loss.item(), 4) for loss in losses]
    [0.0, 1.3863]
    """
    _check(labeled_logits, labels, unlabeled_logits, generated_logits)
    supervised = F.cross_entropy(precise(labeled_logits), labels, ignore_index=_IGNORES_NONE)
    # -log D(x) = -log_sigmoid(L) = softplus(-L) and -log(1 - D(G(z))) = -log_sigmoid(-L) = softplus(L).
    unlabeled = -F.logsigmoid(real_logit(unlabeled_logits)).mean()
    generated = -F.logsigmoid(-real_logit(generated_logits)).mean()
    return supervised, unlabeled + generated


def _check(labeled_logits: Tensor, labels: Tensor, unlabeled_logits: Tensor, generated_logits: Tensor) -> None:
    shapes = [tuple(logits.shape) for logits in (labeled_logits, unlabeled_logits, generated_logits)]
    if any(len(shape) != 2 or 0 in shape for shape in shapes) or len({shape[1] for shape in shapes}) != 1:
        raise ValueError(f"the three batches of logits must be (N, K), (M, K), (P, K), none empty; got {shapes}")
    if labels.shape != labeled_logits.shape[:1]:
        raise ValueError(
            f"labels must have shape ({shapes[0][0]},), one per labeled example; got {tuple(labels.shape)}"
        )
    if labels.dtype != torch.int64:
        raise TypeError(f"labels must be int64 class numbers; got {labels.dtype}. Use labels.long().")
    # On an accelerator reading the values would synchronize; its own cross entropy checks them there.
    if labels.device.type == "cpu" and not torch.compiler.is_compiling() and not uses_reference_ops():
        low, high = int(labels.min()), int(labels.max())
        if low < 0 or high >= shapes[0][1]:
            raise ValueError(f"labels must lie in 0..{shapes[0][1] - 1} for {shapes[0][1]} classes; got {low}..{high}")
