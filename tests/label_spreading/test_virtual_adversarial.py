import math
from dataclasses import replace

import numpy as np
import pytest
import scipy.special
import scipy.stats
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from improved_gan import distributed
from improved_gan.data import Batch, Batches, LabelSplit, load_digits
from improved_gan.label_spreading import VirtualAdversarialObjective
from improved_gan.label_spreading.pseudo_labeling import PseudoLabeling
from improved_gan.label_spreading.virtual_adversarial import (
    conditional_entropy,
    marginal_entropy,
    prediction_kl,
    virtual_adversarial_direction,
    virtual_adversarial_loss,
)
from improved_gan.networks import DenseDiscriminator, DenseGenerator
from improved_gan.training import Optimizers, train_step
from tests.ranks import TwoRanks


def network(seed: int = 0) -> nn.Module:
    torch.manual_seed(seed)
    return nn.Sequential(nn.Linear(6, 20), nn.Tanh(), nn.Linear(20, 4)).double()


def divergence(logits: torch.Tensor, others: torch.Tensor) -> torch.Tensor:
    return nn.functional.kl_div(others.log_softmax(1), logits.softmax(1), reduction="none").sum(1)


def test_of_a_linear_classifier_the_direction_is_known() -> None:
    """Near an image the divergence is r^T W^T (diag p - p p^T) W r / 2: with two classes, one direction matters."""
    weight = torch.tensor([[1.0, 2.0, -2.0], [0.0, 0.0, 0.0]], dtype=torch.float64)
    images = torch.randn(5, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    found = virtual_adversarial_direction(lambda x: x @ weight.T, images, images @ weight.T, probe=1e-3)
    torch.testing.assert_close(found.abs(), (weight[0].abs() / 3).expand(5, 3), atol=1e-6, rtol=0)


def test_one_iteration_beats_almost_every_random_direction() -> None:
    torch.manual_seed(1)
    classify, images = network(), torch.randn(20, 6, dtype=torch.float64)
    logits = classify(images).detach()
    found = virtual_adversarial_direction(classify, images, logits, probe=1e-2)
    worst = divergence(logits, classify(images + 0.1 * found))
    beaten = torch.zeros(20)
    for _ in range(200):
        random = nn.functional.normalize(torch.randn_like(images), dim=1)
        beaten += worst > divergence(logits, classify(images + 0.1 * random))
    assert beaten.median() > 160


def test_the_loss_is_the_divergence_at_the_step_and_its_gradient_skips_the_target() -> None:
    classify, images = network(), torch.randn(8, 6, dtype=torch.float64)
    logits = classify(images).detach()
    direction = virtual_adversarial_direction(classify, images, logits)
    radius = torch.linspace(0, 2, 8, dtype=torch.float64)
    loss = virtual_adversarial_loss(classify, images, radius=radius, direction=direction)
    expected = divergence(logits, classify(images + radius[:, None] * direction)).mean()
    torch.testing.assert_close(loss.double(), expected, atol=1e-6, rtol=1e-5)
    ours = torch.autograd.grad(loss, list(classify.parameters()))
    theirs = torch.autograd.grad(expected, list(classify.parameters()))
    torch.testing.assert_close(list(ours), list(theirs), atol=1e-6, rtol=1e-4)


def test_images_of_any_shape_and_parameters_without_gradients() -> None:
    classify = nn.Sequential(nn.Flatten(), nn.Linear(12, 3))
    loss = virtual_adversarial_loss(classify, torch.rand(5, 3, 2, 2), radius=1.5)
    assert all(parameter.grad is None for parameter in classify.parameters())
    loss.backward()
    assert all(parameter.grad is not None for parameter in classify.parameters())


def test_nothing_changes_at_radius_zero_or_where_the_network_is_constant() -> None:
    classify, images = network(), torch.randn(4, 6, dtype=torch.float64)
    assert virtual_adversarial_loss(classify, images, radius=0.0).abs() < 1e-12
    flat = virtual_adversarial_loss(lambda x: 0 * x[:, :2], images, radius=1.0)
    assert flat == 0


@pytest.mark.parametrize("radius", [-1.0, torch.ones(3), torch.ones(4, 1)])
def test_a_bad_radius(radius: float | torch.Tensor) -> None:
    with pytest.raises(ValueError, match="radius"):
        virtual_adversarial_loss(lambda x: x, torch.randn(4, 2), radius=radius)


def test_conditional_entropy_of_known_distributions() -> None:
    probabilities = torch.tensor([[0.5, 0.25, 0.25], [1 - 2e-9, 1e-9, 1e-9]])
    expected = (0.5 * math.log(2) + 0.5 * math.log(4) + 0.0) / 2
    assert conditional_entropy(probabilities.log()).item() == pytest.approx(expected, abs=1e-6)


def test_a_class_of_probability_zero_adds_nothing_and_has_a_finite_gradient() -> None:
    """Logits of -inf, as of classes that are masked, and differences that underflow, against scipy."""
    logits = torch.tensor([[0.3, -torch.inf, 1.0], [-torch.inf, 0.0, -torch.inf], [0.0, -800.0, 1.0]])
    others = torch.tensor([[0.1, -torch.inf, 2.0], [-1.0, 0.5, -torch.inf], [1.0, -torch.inf, 0.0]])
    logits, others = logits.double().requires_grad_(), others.double().requires_grad_()
    first, second = (scipy.special.softmax(one.detach().numpy(), axis=1) for one in (logits, others))
    first[2, 1] = 0  # exp(-800)
    entropy = conditional_entropy(logits)
    assert entropy.item() == pytest.approx(scipy.stats.entropy(first, axis=1).mean(), rel=1e-12)
    divergence = prediction_kl(logits, others)
    assert divergence.item() == pytest.approx(scipy.stats.entropy(first, second, axis=1).mean(), rel=1e-12)
    (gradient,) = torch.autograd.grad(divergence, others)
    np.testing.assert_allclose(gradient, (second - first) / 3, atol=1e-12)
    (gradient,) = torch.autograd.grad(entropy, logits)
    rows = scipy.stats.entropy(first, axis=1)[:, None]
    np.testing.assert_allclose(gradient, -first * (np.log(np.where(first > 0, first, 1)) + rows) / 3, atol=1e-12)
    certain, excluded = torch.tensor([[0.0, 0.0]]), torch.tensor([[0.0, -torch.inf]])
    assert prediction_kl(certain, excluded) == torch.inf
    assert conditional_entropy(torch.full((1, 3), torch.nan)).isnan()


def test_marginal_entropy_is_that_of_the_mean_prediction_and_largest_where_all_classes_are_used() -> None:
    probabilities = torch.tensor([[0.7, 0.2, 0.1], [0.1, 0.2, 0.7]])
    expected = torch.distributions.Categorical(torch.tensor([0.4, 0.2, 0.4])).entropy()
    torch.testing.assert_close(marginal_entropy(probabilities.log()), expected)
    one_class = torch.tensor([[0.0, -torch.inf, -torch.inf]] * 2)
    assert marginal_entropy(one_class) == 0


def test_prediction_kl_is_the_mean_divergence_and_its_first_argument_a_constant() -> None:
    torch.manual_seed(0)
    logits, others = (torch.randn(6, 4, dtype=torch.float64, requires_grad=True) for _ in range(2))
    loss = prediction_kl(logits, others)
    expected = F.kl_div(others.log_softmax(1), logits.softmax(1), reduction="batchmean")
    assert loss.item() == pytest.approx(expected.item(), rel=1e-5)
    loss.backward()
    assert logits.grad is None
    assert others.grad is not None
    expected_gradient = (others.softmax(1) - logits.softmax(1)).detach() / 6
    torch.testing.assert_close(others.grad, expected_gradient, atol=1e-6, rtol=0)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_directions_in_half_precision(dtype: torch.dtype) -> None:
    """Of length 1 also where squares would overflow (300^2 > 65,504), and 0 where nothing changes anything."""
    weight = torch.zeros(2, 500, dtype=dtype)
    weight[0], weight[1] = 0.02, -0.02
    images = torch.zeros(3, 500, dtype=dtype)
    found = virtual_adversarial_direction(lambda x: x @ weight.T, images, images @ weight.T, probe=300.0)
    assert found.dtype == dtype
    assert found.float().norm(dim=1).sub(1).abs().max() < 0.01
    nothing = virtual_adversarial_direction(lambda x: x @ (0 * weight.T), images, images @ weight.T)
    assert nothing.eq(0).all()


def entropy_of_rank() -> tuple[torch.Tensor, torch.Tensor]:
    """Of uneven parts, and this rank's gradient."""
    rows = torch.randn(6, 3, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    own = slice(0, 6) if distributed.world_size() == 1 else (slice(0, 2), slice(2, 6))[distributed.rank()]
    logits = rows[own].requires_grad_()
    value = marginal_entropy(logits)
    value.backward()
    return value.detach(), logits.grad


def test_the_mean_prediction_is_that_of_all_ranks(two_ranks: TwoRanks) -> None:
    value, gradient = entropy_of_rank()
    halves = two_ranks(entropy_of_rank)
    for ours, _ in halves:
        torch.testing.assert_close(ours, value)
    torch.testing.assert_close(torch.cat([half for _, half in halves]) / 2, gradient)


SHAPE = (1, 8, 8)


def networks() -> tuple[DenseGenerator, DenseDiscriminator]:
    torch.manual_seed(0)
    quiet = DenseDiscriminator(SHAPE, 10, hidden=(32, 16), input_noise=0.0, hidden_noise=0.0)
    return DenseGenerator(SHAPE, latent_size=5, hidden=(8, 8)), quiet


def batch(*, pseudo_labeled: bool = True) -> Batch:
    torch.manual_seed(1)
    images = torch.rand(4, 6, *SHAPE)
    some = (images[3], torch.arange(6)) if pseudo_labeled else (None, None)
    return Batch(images[0], torch.arange(6) % 3, images[1], images[2], *some)


def divergence_of(logits: Tensor, others: Tensor) -> Tensor:
    return F.kl_div(others.log_softmax(1), logits.softmax(1), reduction="batchmean")


def test_terms_are_the_five_losses_at_their_weights() -> None:
    generator, discriminator = networks()
    images = batch()
    objective = VirtualAdversarialObjective(
        radius=0.0, adversarial_weight=3.0, entropy_weight=0.5, marginal_entropy_weight=0.25, pseudo_label_weight=2.0
    )
    terms = objective.discriminator_terms(generator, discriminator, images).losses
    probabilities = discriminator(images.unlabeled_images).logits.softmax(1)
    entropy = torch.distributions.Categorical(probabilities).entropy().mean()
    balance = torch.distributions.Categorical(probabilities.mean(0)).entropy()
    assert terms["marginal_entropy"].item() == pytest.approx(-0.25 * balance.item(), rel=1e-5)
    assert terms["entropy"].item() == pytest.approx(0.5 * entropy.item(), rel=1e-5)
    assert terms["virtual_adversarial"].item() == pytest.approx(0, abs=1e-6)
    known = F.cross_entropy(discriminator(images.labeled_images).logits, images.labels)
    assert terms["supervised"].item() == pytest.approx(known.item(), rel=1e-5)
    guess = F.cross_entropy(discriminator(images.pseudo_labeled_images).logits, images.pseudo_labels)
    assert terms["pseudo_label"].item() == pytest.approx(2 * guess.item(), rel=1e-5)


def test_adversarial_images_change_predictions_more_than_random_ones() -> None:
    generator, discriminator = networks()
    images = batch()
    term = (
        VirtualAdversarialObjective(radius=1.0)
        .discriminator_terms(generator, discriminator, images)
        .losses["virtual_adversarial"]
    )
    clean = discriminator(images.unlabeled_images).logits
    for seed in range(20):
        torch.manual_seed(seed)
        step = F.normalize(torch.randn(6, 64), dim=1).reshape(6, *SHAPE)
        assert term > divergence_of(clean, discriminator(images.unlabeled_images + step).logits)


def test_augmented_views_have_a_consistency_term_and_enter_both_entropies() -> None:
    generator, discriminator = networks()
    images = replace(batch(), augment=lambda some: 0.5 * some)
    objective = VirtualAdversarialObjective(
        radius=0.0, entropy_weight=0.5, marginal_entropy_weight=0.25, consistency_weight=3.0
    )
    terms = objective.discriminator_terms(generator, discriminator, images).losses
    clean = discriminator(images.unlabeled_images).logits
    other = discriminator(0.5 * images.unlabeled_images).logits
    assert terms["consistency"].item() == pytest.approx(3 * divergence_of(clean, other).item(), rel=1e-4)
    entropies = [torch.distributions.Categorical(logits=one).entropy().mean() for one in (clean, other)]
    assert terms["entropy"].item() == pytest.approx(0.5 * sum(entropies).item(), rel=1e-5)
    mean = torch.cat([clean, other]).softmax(1).mean(0)
    balance = torch.distributions.Categorical(mean).entropy()
    assert terms["marginal_entropy"].item() == pytest.approx(-0.25 * balance.item(), rel=1e-5)
    guess = F.cross_entropy(discriminator(images.pseudo_labeled_images).logits, images.pseudo_labels)
    assert terms["pseudo_label"].item() == pytest.approx(guess.item(), rel=1e-5)


def test_without_the_adversarial_term_there_is_no_search_for_a_direction() -> None:
    generator, discriminator = networks()
    passes: list[int] = []
    discriminator.register_forward_hook(lambda *_: passes.append(1))
    images = batch()
    terms = VirtualAdversarialObjective(adversarial_weight=0.0, entropy_weight=0.5).discriminator_terms(
        generator, discriminator, images
    )
    assert len(passes) == 1
    clean = discriminator(images.unlabeled_images).logits
    entropy = torch.distributions.Categorical(logits=clean).entropy().mean()
    assert terms.losses["entropy"].item() == pytest.approx(0.5 * entropy.item(), rel=1e-5)
    assert {"virtual_adversarial", "consistency"}.isdisjoint(terms.losses)
    formed = replace(images, augment=lambda some: 0.5 * some)
    losses = (
        VirtualAdversarialObjective(adversarial_weight=0.0).discriminator_terms(generator, discriminator, formed).losses
    )
    other = discriminator(0.5 * images.unlabeled_images).logits
    assert losses["consistency"].item() == pytest.approx(divergence_of(clean, other).item(), rel=1e-4)
    entropy = torch.distributions.Categorical(logits=other).entropy().mean()
    assert losses["entropy"].item() == pytest.approx(entropy.item(), rel=1e-5)
    assert "virtual_adversarial" not in losses


def test_without_pseudo_labels_there_is_no_term_and_the_generator_has_no_loss() -> None:
    generator, discriminator = networks()
    objective = VirtualAdversarialObjective()
    assert (
        "pseudo_label"
        not in objective.discriminator_terms(generator, discriminator, batch(pseudo_labeled=False)).losses
    )
    assert "consistency" not in objective.discriminator_terms(generator, discriminator, batch()).losses
    assert objective.generator_terms(generator, discriminator, batch()).losses == {}


def test_all_weights_get_gradients_after_the_frozen_passes() -> None:
    generator, discriminator = networks()
    terms = VirtualAdversarialObjective().discriminator_terms(generator, discriminator, batch())
    sum(terms.losses.values()).backward()
    learned = [parameter for parameter in discriminator.parameters() if parameter.requires_grad]
    assert learned
    assert all(parameter.grad is not None for parameter in learned)


@pytest.mark.slow
def test_learns_digits_from_few_labels_better_than_the_supervised_baseline() -> None:
    """Measured once: 60 and 81 errors of 500."""
    data = load_digits()
    split = LabelSplit.draw(data.train.labels, 50, seed=1)
    pseudo_labels = PseudoLabeling(batch_size=30).pseudo_labels(data.train, split, epochs=20)
    wrong = {}
    for name, objective in {
        "regularized": VirtualAdversarialObjective(radius=1.0),
        "labels": VirtualAdversarialObjective(
            adversarial_weight=0.0, entropy_weight=0.0, marginal_entropy_weight=0.0, pseudo_label_weight=0.0
        ),
    }.items():
        torch.manual_seed(0)
        generator = DenseGenerator(SHAPE, latent_size=5, hidden=(8, 8))
        discriminator = DenseDiscriminator(SHAPE, 10, hidden=(128, 64), input_noise=0.1, hidden_noise=0.1)
        adams = [torch.optim.Adam(n.parameters(), lr=0.003, betas=(0.5, 0.999)) for n in (discriminator, generator)]
        batches = Batches(data.train, split, batch_size=50, seed=1, labeled_batch_size=50, pseudo_labels=pseudo_labels)
        for epoch in range(20):
            for one in batches.epoch(epoch):
                train_step(generator, discriminator, objective, one, Optimizers(*adams))
        discriminator.eval()
        predicted = discriminator(data.test.images / 255).logits.argmax(1)
        wrong[name] = int((predicted != data.test.labels).sum())
    assert wrong["regularized"] < 0.8 * wrong["labels"]


def test_the_dataclass_can_be_changed_and_described() -> None:
    assert replace(VirtualAdversarialObjective(), radius=1.5) == VirtualAdversarialObjective(radius=1.5)
