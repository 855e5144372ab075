from functools import partial

import numpy as np
import pytest
import torch

from improved_gan.networks import ImageNetDiscriminator
from improved_gan.techniques import (
    MinibatchDiscrimination,
    divergence_generator_loss,
    minimax_generator_loss,
    smoothed_discriminator_loss,
)
from improved_gan.training import Adversarial
from tests.training.test_objectives import Identity, Images, Pixels, batch, logits

__all__ = ["batch"]  # the fixture


def probability(class_logits: np.ndarray) -> np.ndarray:
    return 1 - 1 / (1 + np.exp(class_logits).sum(1))


def test_labels_add_a_supervised_loss(batch: Images) -> None:
    generator, discriminator = Identity(), Pixels()
    objective = Adversarial(supervised_weight=2.0, adversarial_weight=0.5)
    terms = objective.discriminator_terms(generator, discriminator, batch)
    real = probability(logits(discriminator, batch.unlabeled_images))
    generated = probability(logits(discriminator, generator.drawn[0]))
    adversarial = -np.log(real).mean() - np.log(1 - generated).mean()
    assert terms.losses["adversarial"].item() == pytest.approx(0.5 * adversarial)
    of_labeled = logits(discriminator, batch.labeled_images)
    right = np.exp(of_labeled)[range(4), batch.labels] / np.exp(of_labeled).sum(1)
    assert terms.losses["supervised"].item() == pytest.approx(-2 * np.log(right).mean())
    wrong = (of_labeled.argmax(1) != batch.labels.numpy()).mean()
    assert terms.monitors["labeled_error"].item() == pytest.approx(wrong)


def test_labeled_images_may_be_the_real_ones_and_be_told_from_generated(batch: Images) -> None:
    generator, discriminator = Identity(), Pixels()
    objective = Adversarial(supervised_weight=1.0, labeled_as_real=True, generated_class=True)
    terms = objective.discriminator_terms(generator, discriminator, batch)
    of_labeled, of_generated = logits(discriminator, batch.labeled_images), logits(discriminator, generator.drawn[0])
    assert len(of_generated) == len(of_labeled)
    real, generated = probability(of_labeled), probability(of_generated)
    assert terms.losses["adversarial"].item() == pytest.approx(-np.log(real).mean() - np.log(1 - generated).mean())
    right = np.exp(of_labeled)[range(4), batch.labels] / (1 + np.exp(of_labeled).sum(1))
    assert terms.losses["supervised"].item() == pytest.approx(-np.log(right).mean())


def test_smoothing_moves_the_real_target_only(batch: Images) -> None:
    generator, discriminator = Identity(), Pixels()
    objective = Adversarial(discriminator_loss=partial(smoothed_discriminator_loss, positive_target=0.7))
    terms = objective.discriminator_terms(generator, discriminator, batch)
    real = probability(logits(discriminator, batch.unlabeled_images))
    generated = probability(logits(discriminator, generator.drawn[0]))
    expected = -(0.7 * np.log(real) + 0.3 * np.log(1 - real)).mean() - np.log(1 - generated).mean()
    assert terms.losses["adversarial"].item() == pytest.approx(expected)
    assert list(terms.losses) == ["adversarial"]


def test_feature_matching_is_added_to_the_generator_loss(batch: Images) -> None:
    generator, discriminator = Identity(), Pixels()
    objective = Adversarial(generator_loss=minimax_generator_loss, matching_weight=3.0)
    terms = objective.generator_terms(generator, discriminator, batch)
    difference = batch.matching_images.mean(0) - generator.drawn[0].mean(0)
    assert terms.losses["feature_matching"].item() == pytest.approx(3 * difference.square().sum().item())
    generated = probability(logits(discriminator, generator.drawn[0]))
    assert terms.losses["adversarial"].item() == pytest.approx(np.log(1 - generated).mean())


def test_monitors_equal_their_definitions(batch: Images) -> None:
    generator, discriminator = Identity(), Pixels()
    monitors = Adversarial().discriminator_terms(generator, discriminator, batch).monitors
    real, generated = (images.flatten(1).numpy() for images in (batch.unlabeled_images, generator.drawn[0]))
    distances = [np.linalg.norm(rows - np.roll(rows, 1, 0), axis=1).mean() for rows in (real, generated)]
    assert monitors["real_distance"].item() == pytest.approx(distances[0], rel=1e-5)
    assert monitors["generated_distance"].item() == pytest.approx(distances[1], rel=1e-5)
    apart = np.linalg.norm(real.mean(0) - generated.mean(0)) / distances[0]
    assert monitors["feature_distance"].item() == pytest.approx(apart, rel=1e-5)
    called_real = probability(logits(discriminator, batch.unlabeled_images)) > 0.5
    called_generated = probability(logits(discriminator, generator.drawn[0])) < 0.5
    assert monitors["accuracy"].item() == pytest.approx((called_real.mean() + called_generated.mean()) / 2)


def test_the_generator_update_gives_real_images_to_a_discriminator_that_compares(
    batch: Images,
) -> None:
    layer = partial(MinibatchDiscrimination, num_kernels=3, kernel_dim=2)
    discriminator = ImageNetDiscriminator((1, 32, 32), 3, width=2, input_noise=0.0, minibatch=layer)
    images = torch.rand(5, 1, 32, 32)
    generator = Identity()
    generator.draw_latents = lambda num, source=None: torch.linspace(0, 1, num * 1024).view(num, 1, 32, 32)
    objective = Adversarial(generator_loss=partial(divergence_generator_loss, positive_target=0.75))

    def cost(fresh: torch.Tensor) -> float:
        one = Images(images, batch.labels, images, fresh)
        return objective.generator_terms(generator, discriminator, one).losses["adversarial"].item()

    assert cost(images) == cost(images)
    assert cost(images) != cost(1 - images)
