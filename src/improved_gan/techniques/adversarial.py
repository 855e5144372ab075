"""The losses of adversarial training without further techniques (paper, section 2; Goodfellow et al., 2014).

With l the logit of D(x) = sigmoid(l(x)):

    discriminator   L_D = -E_x log D(x) - E_z log(1 - D(G(z))) = E_x softplus(-l) + E_z softplus(l)
    generator       non-saturating  -E_z log D(G(z))      =  E_z softplus(-l)
                    minimax          E_z log(1 - D(G(z))) = -E_z softplus(l)

softplus(l) is computed as -log_sigmoid(-l), which neither overflows nor takes log 0 for large logits (PyTorch's own
softplus is the identity above 20).
"""

import torch.nn.functional as F
from torch import Tensor

from improved_gan.kernels.logits import one_logit_an_example

__all__ = ["adversarial_discriminator_loss", "minimax_generator_loss", "non_saturating_generator_loss"]


def adversarial_discriminator_loss(real_logits: Tensor, generated_logits: Tensor) -> Tensor:
    """The discriminator's cross entropy, -E log D(x) - E log(1 - D(G(z))).

    Args:
        real_logits: (N,) logits of D for real examples; D(x) = sigmoid(logit).
        generated_logits: (M,) logits of D for generated examples.

    Returns:
        () the loss, in nats; 2 log 2 where D(x) = 1/2 for all examples.

    Raises:
        ValueError: either batch is empty or not one-dimensional.

    Source: paper, section 2.

    >>> import torch
    >>> adversarial_discriminator_loss(torch.zeros(4), torch.zeros(4))
    tensor(1.3863)
    """
    real = one_logit_an_example(real_logits, "real_logits")
    generated = one_logit_an_example(generated_logits, "generated_logits")
    return -F.logsigmoid(real).mean() - F.logsigmoid(-generated).mean()


def non_saturating_generator_loss(generated_logits: Tensor) -> Tensor:
    """The generator's usual loss, -E log D(G(z)): its gradient stays large where D(G(z)) is near 0.

    Args:
        generated_logits: (M,) logits of D for generated examples.

    Returns:
        () the loss, in nats.

    Raises:
        ValueError: the batch is empty or not one-dimensional.

    Source: Goodfellow et al., 2014, section 3.

    >>> import torch
    >>> non_saturating_generator_loss(torch.zeros(4))
    tensor(0.6931)
    """
    return -F.logsigmoid(one_logit_an_example(generated_logits, "generated_logits")).mean()


def minimax_generator_loss(generated_logits: Tensor) -> Tensor:
    """The generator's zero-sum loss, E log(1 - D(G(z))) = -E softplus(logit).

    The released CIFAR-10 and SVHN scripts with minibatch discrimination train G on this form.

    Args:
        generated_logits: (M,) logits of D for generated examples.

    Returns:
        () the loss, in nats; never positive.

    Raises:
        ValueError: the batch is empty or not one-dimensional.

    Source: paper, section 2.

    >>> import torch
    >>> minimax_generator_loss(torch.zeros(4))
    tensor(-0.6931)
    """
    return F.logsigmoid(-one_logit_an_example(generated_logits, "generated_logits")).mean()
