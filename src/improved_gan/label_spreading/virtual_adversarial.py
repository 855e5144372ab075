"""Virtual adversarial training: penalize changes of the class probabilities in the direction of largest change.

    d     ~ N(0, I), scaled to length xi
    g     = gradient in d of KL(p(x) || p(x + d));  r = radius * g / ||g||
    loss  = mean over x of KL(p(x) || p(x + r)), p(x) held fixed

It needs no label, so a classifier's decision boundary moves away from all images, labeled or not. Minimizing
`conditional_entropy` makes predictions confident; maximizing `marginal_entropy` keeps all classes in use. Not in the
paper: the best results from few labels use them together with, or in place of, adversarial training.

Source: Miyato, Maeda, Koyama, Ishii, 2018, "Virtual adversarial training", equations 5-12 (one power iteration).
Radii by the distance to a neighbor: Hu et al., 2017, "Learning discrete representations via information maximizing
self-augmented training", section 3.1.

`VirtualAdversarialObjective` trains the discriminator as a classifier, without a GAN: a virtual adversarial loss,
entropy terms, a consistency loss, and pseudo-labels in the first part of the run. With the dense networks of MNIST this
needs many times less training than the GAN (docs/tried.md).
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from improved_gan.distributed import global_mean
from improved_gan.kernels.logits import class_logits
from improved_gan.kernels.precision import precise
from improved_gan.networks.interface import Discriminator, Generator, forward_batches, frozen
from improved_gan.training.objectives import Objective, Terms, TrainingBatch, weighted_cross_entropy

__all__ = [
    "VirtualAdversarialObjective",
    "conditional_entropy",
    "marginal_entropy",
    "prediction_kl",
    "virtual_adversarial_direction",
    "virtual_adversarial_loss",
]


def virtual_adversarial_direction(
    logits_of: Callable[[Tensor], Tensor], images: Tensor, logits: Tensor, *, probe: float = 1.0
) -> Tensor:
    """For each image the unit vector along which its class probabilities change most, by one power iteration.

    Gradients of parameters are not accumulated; freeze the parameters to save their part of the backward pass.

    Args:
        logits_of: (N, A...) images -> (N, K) class logits.
        images: (N, A...).
        logits: (N, K) the classifier's logits at the images; a constant here.
        probe: length of the random step from which the direction is found (xi), > 0.

    Returns:
        (N, A...) of length 1 for each image; zero where the gradient is zero.

    Source: Miyato et al., 2018, equations 9-12.

    >>> weight = torch.tensor([[3.0, 0.0], [-3.0, 0.0]])
    >>> virtual_adversarial_direction(lambda x: x @ weight.T, torch.zeros(1, 2), torch.zeros(1, 2)).abs()
    tensor([[1., 0.]])
    """
    start = (images + probe * _unit(torch.randn_like(images))).detach().requires_grad_(True)
    with torch.enable_grad():
        distance = _divergence(logits.detach(), logits_of(start)).sum()
        (gradient,) = torch.autograd.grad(distance, start)
    return _unit(gradient)


def virtual_adversarial_loss(
    logits_of: Callable[[Tensor], Tensor],
    images: Tensor,
    *,
    radius: float | Tensor = 2.0,
    probe: float = 1.0,
    direction: Tensor | None = None,
    logits: Tensor | None = None,
) -> Tensor:
    """The KL divergence of the class probabilities between each image and its virtual adversarial neighbor.

    Args:
        logits_of: (N, A...) images -> (N, K) class logits.
        images: (N, A...).
        radius: length of the step, in units of the images; one number or (N,), >= 0.
        probe: see `virtual_adversarial_direction`.
        direction: (N, A...) unit vectors; None to compute them.
        logits: (N, K) at the images; None to compute them.

    Returns:
        () in nats, >= 0; float32, or float64 where logits are.

    Raises:
        ValueError: a radius that is negative or of another shape, or no images.

    Source: Miyato et al., 2018, equations 5-8.

    >>> weight = torch.tensor([[1.0, 0.0], [-1.0, 0.0]])
    >>> loss = virtual_adversarial_loss(lambda x: x @ weight.T, torch.zeros(3, 2), radius=1.0)
    >>> round(loss.item(), 4)  # the step goes along the first axis: KL((1/2, 1/2) || softmax(1, -1)) = log cosh 1
    0.4338
    """
    length = torch.as_tensor(radius, dtype=images.dtype, device=images.device)
    if length.dim() > 1 or (length.dim() == 1 and len(length) != len(images)) or bool((length < 0).any()):
        raise ValueError(f"radius must be a number >= 0 or ({len(images)},) of them; got {tuple(length.shape)}")
    if logits is None:
        with torch.no_grad():
            logits = logits_of(images)
    if direction is None:
        direction = virtual_adversarial_direction(logits_of, images, logits, probe=probe)
    length = length.reshape(-1, *[1] * (images.dim() - 1))
    return _divergence(logits.detach(), logits_of(images + length * direction)).mean()


def prediction_kl(logits: Tensor, others: Tensor) -> Tensor:
    """Consistency loss: mean KL divergence between the class probabilities of images and of their augmented views.

    Args:
        logits: (N, K) for the images; a constant here.
        others: (N, K) for augmented views of them, for example by `RandomElasticAffine`.

    Returns:
        () in nats, >= 0; float32, or float64 where logits are.

    Raises:
        ValueError: shapes that differ or are not (N, K), or an empty batch.

    Source: Miyato et al., 2018, equation 5, with a given view in place of the adversarial one.

    >>> prediction_kl(torch.zeros(1, 2), torch.zeros(1, 2))
    tensor(0.)
    """
    return _divergence(logits.detach(), others).mean()


def conditional_entropy(logits: Tensor) -> Tensor:
    """The mean entropy of the class probabilities, in nats: small where all predictions are confident.

    Args:
        logits: (N, K).

    Returns:
        () 0..log K; float32, or float64 where logits are.

    Raises:
        ValueError: logits of another shape, or an empty batch.

    Source: Grandvalet and Bengio, 2005, equation 6.

    >>> conditional_entropy(torch.zeros(1, 4)).exp()
    tensor(4.)
    """
    logs = _checked(logits).log_softmax(1)
    return -_expected(logs.exp(), logs).mean()


def marginal_entropy(logits: Tensor) -> Tensor:
    """The entropy of the mean class probabilities of a batch, in nats: large where all classes are predicted.

    Minimizing the conditional entropy alone may merge classes that look alike; subtracting this term prevents it. It
    assumes classes of about the same size, and a batch with many images per class. The batch is that of all ranks.

    Args:
        logits: (N, K).

    Returns:
        () 0..log K; float32, or float64 where logits are.

    Raises:
        ValueError: logits of another shape, or an empty batch.

    Source: Krause, Perona and Gomes, 2010, "Discriminative clustering by regularized information maximization",
    equation 4; with virtual adversarial training, Hu et al., 2017.

    >>> marginal_entropy(torch.tensor([[50.0, 0.0], [0.0, 50.0]])).exp()
    tensor(2.)
    """
    mean = global_mean(_checked(logits).softmax(1))
    entropy: Tensor = -torch.special.xlogy(mean, mean).sum()
    return entropy


def _divergence(logits: Tensor, others: Tensor) -> Tensor:
    """(N,) KL between the distributions of two sets of logits."""
    if logits.shape != others.shape:
        raise ValueError(f"logits must come in pairs of one shape; got {tuple(logits.shape)}, {tuple(others.shape)}")
    logs, other_logs = _checked(logits).log_softmax(1), _checked(others).log_softmax(1)
    return _expected(logs.exp(), logs - other_logs)


def _expected(probabilities: Tensor, values: Tensor) -> Tensor:
    """(N, K), (N, K) -> (N,) sum_k p_k v_k, in which p_k v_k = 0 at p_k = 0, whatever v_k (-inf, or NaN)."""
    return (probabilities * values.masked_fill(probabilities == 0, 0.0)).sum(1)


def _checked(logits: Tensor) -> Tensor:
    """(N, K) logits with N >= 1, in float32 or better."""
    if len(logits) == 0:
        raise ValueError(f"the mean of an empty batch is undefined; got logits of shape {tuple(logits.shape)}")
    return class_logits(logits, "logits")


def _unit(vectors: Tensor) -> Tensor:
    """Each row scaled to length 1; rows of zeros stay. In float32: in float16 lengths overflow and 1e-12 is 0."""
    lengths = precise(vectors).flatten(1).norm(dim=1).reshape(-1, *[1] * (vectors.dim() - 1))
    units: Tensor = vectors / lengths.clamp_min(1e-12)
    return units.to(vectors.dtype)


@dataclass(frozen=True)
class VirtualAdversarialObjective(Objective):
    """Cross entropy of labels and pseudo-labels; virtual adversarial loss, entropies and consistency of the others.

    The generator, if there is one, is not updated, as in `SupervisedBaseline`.

    Args:
        radius: length of the adversarial step, in units of the images.
        adversarial_weight: of the virtual adversarial loss; at 0 it is not computed, which saves three passes.
        entropy_weight: of the conditional entropy, at the adversarial images and at augmented views; without either,
            at the images themselves.
        marginal_entropy_weight: of the entropy of the mean prediction, which is maximized: all classes stay in use.
        pseudo_label_weight: of the cross entropy of pseudo-labels, in batches that have them.
        consistency_weight: of the KL divergence between the predictions for an image and for its augmented view, in
            batches with `augment`; the views enter both entropies too (Sajjadi et al., 2016).
    """

    needs_generator = False

    radius: float = 2.5
    adversarial_weight: float = 1.0
    entropy_weight: float = 1.0
    marginal_entropy_weight: float = 1.0
    pseudo_label_weight: float = 1.0
    consistency_weight: float = 1.0

    def discriminator_terms(self, generator: Generator, discriminator: Discriminator, batch: TrainingBatch) -> Terms:
        """All terms from one pass, after passes with frozen weights for the clean logits and adversarial images."""
        images = batch.unlabeled_images
        clean, views = self._views(discriminator, batch)
        batches = [batch.labeled_images, *(views.values() if views else [images])]
        batches += [] if batch.pseudo_labeled_images is None else [batch.pseudo_labeled_images]
        labeled, *unlabeled = (output.logits for output in forward_batches(discriminator, batches))
        pseudo_labeled = unlabeled.pop() if batch.pseudo_labeled_images is not None else None
        losses = {"supervised": weighted_cross_entropy(labeled, batch.labels, batch.label_weights)}
        for name, logits in zip(views, unlabeled, strict=False):
            weight = self.adversarial_weight if name == "virtual_adversarial" else self.consistency_weight
            losses[name] = weight * prediction_kl(clean, logits)
        losses["entropy"] = self.entropy_weight * torch.stack([conditional_entropy(one) for one in unlabeled]).sum()
        losses["marginal_entropy"] = -self.marginal_entropy_weight * marginal_entropy(torch.cat(unlabeled))
        if pseudo_labeled is not None and batch.pseudo_labels is not None:
            cross_entropy = F.cross_entropy(precise(pseudo_labeled), batch.pseudo_labels)
            losses["pseudo_label"] = self.pseudo_label_weight * cross_entropy
        error = (labeled.detach().argmax(1) != batch.labels).float().mean()
        return Terms(losses=losses, monitors={"labeled_error": error})

    def _views(self, discriminator: Discriminator, batch: TrainingBatch) -> tuple[Tensor, dict[str, Tensor]]:
        """(N, K) detached logits of the unlabeled images, and their adversarial and augmented views, by loss term."""

        def logits_of(images: Tensor) -> Tensor:
            logits: Tensor = discriminator(images).logits
            return logits

        images, views = batch.unlabeled_images, {}
        clean = images.new_zeros(0)
        if self.adversarial_weight or batch.augment is not None:
            with frozen(discriminator):
                with torch.no_grad():
                    clean = logits_of(images)
                if self.adversarial_weight:
                    direction = virtual_adversarial_direction(logits_of, images, clean)
                    views["virtual_adversarial"] = images + self.radius * direction
        if batch.augment is not None:
            views["consistency"] = batch.augment(images)
        return clean, views

    def generator_terms(self, generator: Generator, discriminator: Discriminator, batch: TrainingBatch) -> Terms:
        """None."""
        return Terms(losses={})
