from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from improved_gan.data import Batch, Batches, LabelSplit, load_digits
from improved_gan.label_spreading import VirtualAdversarialObjective
from improved_gan.label_spreading.pseudo_labeling import PseudoLabeling
from improved_gan.networks import DenseDiscriminator, DenseGenerator
from improved_gan.training import Optimizers, train_step

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


def divergence(logits: Tensor, others: Tensor) -> Tensor:
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
        assert term > divergence(clean, discriminator(images.unlabeled_images + step).logits)


def test_augmented_views_have_a_consistency_term_and_enter_both_entropies() -> None:
    generator, discriminator = networks()
    images = replace(batch(), augment=lambda some: 0.5 * some)
    objective = VirtualAdversarialObjective(
        radius=0.0, entropy_weight=0.5, marginal_entropy_weight=0.25, consistency_weight=3.0
    )
    terms = objective.discriminator_terms(generator, discriminator, images).losses
    clean = discriminator(images.unlabeled_images).logits
    other = discriminator(0.5 * images.unlabeled_images).logits
    assert terms["consistency"].item() == pytest.approx(3 * divergence(clean, other).item(), rel=1e-4)
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
    assert losses["consistency"].item() == pytest.approx(divergence(clean, other).item(), rel=1e-4)
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
    """Measured once: 56 and 84 errors of 500."""
    data = load_digits()
    split = LabelSplit.draw(data.train.labels, 50, seed=1)
    pseudo_labels = PseudoLabeling(batch_size=30).pseudo_labels(data.train, split, epochs=40)
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
        for epoch in range(40):
            for one in batches.epoch(epoch):
                train_step(generator, discriminator, objective, one, Optimizers(*adams))
        discriminator.eval()
        predicted = discriminator(data.test.images / 255).logits.argmax(1)
        wrong[name] = int((predicted != data.test.labels).sum())
    assert wrong["regularized"] < 0.8 * wrong["labels"]


def test_the_dataclass_can_be_changed_and_described() -> None:
    assert replace(VirtualAdversarialObjective(), radius=1.5) == VirtualAdversarialObjective(radius=1.5)
