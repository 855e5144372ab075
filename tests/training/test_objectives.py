from dataclasses import dataclass, replace
from functools import partial

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from improved_gan.label_spreading.virtual_adversarial import VirtualAdversarialObjective
from improved_gan.networks import Discriminator, DiscriminatorOutput, Generator, ImageNetDiscriminator
from improved_gan.techniques import (
    MinibatchDiscrimination,
    divergence_generator_loss,
    feature_matching_loss,
    minimax_generator_loss,
    smoothed_discriminator_loss,
)
from improved_gan.training import Adversarial, Objective, SemiSupervised
from improved_gan.training.objectives import SupervisedBaseline
from tests.oracles import losses

__all__ = ["batch"]


@dataclass
class Images:
    labeled_images: Tensor
    labels: Tensor
    unlabeled_images: Tensor
    matching_images: Tensor
    pseudo_labeled_images: Tensor | None = None
    pseudo_labels: Tensor | None = None
    augment: None = None
    label_weights: Tensor | None = None


class Identity(Generator):
    """Latents are the images, and each draw is recorded."""

    def __init__(self) -> None:
        super().__init__()
        self.scale, self.drawn = nn.Parameter(torch.ones(())), []

    def draw_latents(self, num: int, *, source: torch.Generator | None = None) -> Tensor:
        self.drawn.append(torch.randn(num, 1, 2, 2, generator=source, dtype=torch.float64))
        return self.drawn[-1]

    def forward(self, latents: Tensor) -> Tensor:
        return latents * self.scale


class Pixels(Discriminator):
    """Logits are a linear map of the pixels, features the pixels; no noise, so every number can be checked."""

    def __init__(self, num_logits: int | None = 3) -> None:
        super().__init__()
        self.num_logits, self.layer = num_logits, nn.Linear(4, num_logits or 1).double()

    def forward(self, images: Tensor) -> DiscriminatorOutput:
        logits = self.layer(images.flatten(1))
        return DiscriminatorOutput(logits if self.num_logits else logits[:, 0], images.flatten(1))


@pytest.fixture
def batch() -> Images:
    draw = [torch.randn(n, 1, 2, 2, dtype=torch.float64) for n in (4, 5, 5)]
    return Images(draw[0], torch.tensor([0, 2, 1, 0]), draw[1], draw[2])


def logits(discriminator: Pixels, images: Tensor) -> np.ndarray:
    return discriminator(images).logits.detach().numpy()


def test_pseudo_labels_add_a_term_and_leave_the_others_unchanged(batch: Images) -> None:
    generator, discriminator = Identity(), Pixels()
    with_pseudo_labels = replace(
        batch, pseudo_labeled_images=torch.randn(3, 1, 2, 2).double(), pseudo_labels=torch.tensor([2, 0, 1])
    )
    torch.manual_seed(0)
    plain = SemiSupervised(supervised_weight=2.0).discriminator_terms(generator, discriminator, batch).losses
    torch.manual_seed(0)
    terms = (
        SemiSupervised(supervised_weight=2.0).discriminator_terms(generator, discriminator, with_pseudo_labels).losses
    )
    expected = torch.nn.functional.cross_entropy(
        discriminator(with_pseudo_labels.pseudo_labeled_images).logits, with_pseudo_labels.pseudo_labels
    )
    assert terms.pop("pseudo_label").item() == pytest.approx(2 * expected.item())
    assert {name: value.item() for name, value in terms.items()} == pytest.approx(
        {name: value.item() for name, value in plain.items()}
    )


def test_semi_supervised_terms_are_the_weighted_losses_of_section_5(batch: Images) -> None:
    generator, discriminator = Identity(), Pixels()
    terms = SemiSupervised(supervised_weight=2.0).discriminator_terms(generator, discriminator, batch)
    supervised, unsupervised = losses.semi_supervised(
        logits(discriminator, batch.labeled_images),
        batch.labels,
        logits(discriminator, batch.unlabeled_images),
        logits(discriminator, generator.drawn[0]),
    )
    assert terms.losses["supervised"].item() == pytest.approx(2 * supervised)
    assert terms.losses["unsupervised"].item() == pytest.approx(0.5 * unsupervised)
    assert list(terms.losses) == ["supervised", "unsupervised"]


def test_monitors_are_mean_probabilities(batch: Images) -> None:
    generator, discriminator = Identity(), Pixels()
    monitors = SemiSupervised().discriminator_terms(generator, discriminator, batch).monitors
    real = 1 - losses.class_probabilities(logits(discriminator, batch.unlabeled_images))[:, -1]
    wrong = logits(discriminator, batch.labeled_images).argmax(1) != batch.labels.numpy()
    assert monitors["real_probability"].item() == pytest.approx(real.mean())
    assert monitors["labeled_error"].item() == pytest.approx(wrong.mean())


def test_feature_matching_uses_matching_images_and_new_latents(batch: Images) -> None:
    generator, discriminator = Identity(), Pixels()
    objective = SemiSupervised(generator_loss=feature_matching_loss)
    objective.discriminator_terms(generator, discriminator, batch)
    terms = objective.generator_terms(generator, discriminator, batch)
    expected = losses.feature_matching(batch.matching_images.flatten(1), generator.drawn[1].flatten(1), "paper")
    assert terms.losses["feature_matching"].item() == pytest.approx(expected)
    assert not torch.equal(generator.drawn[0], generator.drawn[1])


@pytest.mark.parametrize("num_logits", [None, 3])
def test_adversarial_terms(batch: Images, num_logits: int | None) -> None:
    generator, discriminator = Identity(), Pixels(num_logits)
    objective = Adversarial()
    d_term = objective.discriminator_terms(generator, discriminator, batch).losses["adversarial"].item()
    g_term = objective.generator_terms(generator, discriminator, batch).losses["adversarial"].item()

    def as_one(images: Tensor) -> np.ndarray:
        values = logits(discriminator, images)
        return values if num_logits is None else np.log(np.exp(values).sum(1))

    real, fake, again = (as_one(images) for images in (batch.unlabeled_images, *generator.drawn))
    assert d_term == pytest.approx(losses.discriminator(real, fake))
    assert g_term == pytest.approx(-losses.log_sigmoid(again).mean())


@pytest.mark.parametrize("objective", [SemiSupervised(), Adversarial()])
def test_each_network_gets_gradients_of_its_own_losses_only(batch: Images, objective) -> None:
    generator, discriminator = Identity(), Pixels()
    sum(objective.discriminator_terms(generator, discriminator, batch).losses.values()).backward()
    assert generator.scale.grad is None
    assert discriminator.layer.weight.grad is not None
    sum(objective.generator_terms(generator, discriminator, batch).losses.values()).backward()
    assert generator.scale.grad is not None


@pytest.mark.parametrize(
    "objective",
    [
        SemiSupervised(),
        Adversarial(supervised_weight=1.0, matching_weight=1.0),
        SupervisedBaseline(),
        VirtualAdversarialObjective(),
    ],
    ids=lambda one: type(one).__name__,
)
def test_losses_in_double_precision_stay_in_it(batch: Images, objective: Objective) -> None:
    with_pseudo_labels = replace(
        batch, pseudo_labeled_images=torch.randn(3, 1, 2, 2).double(), pseudo_labels=torch.tensor([2, 0, 1])
    )
    generator, discriminator = Identity().double(), Pixels()
    for terms in (
        objective.discriminator_terms(generator, discriminator, with_pseudo_labels),
        objective.generator_terms(generator, discriminator, with_pseudo_labels),
    ):
        for name, value in terms.losses.items():
            assert value.dtype == torch.float64, name
            assert value.detach() != value.detach().float().double(), name


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


@pytest.mark.parametrize(
    "objective",
    [SemiSupervised(), SupervisedBaseline(), Adversarial(supervised_weight=1.0), VirtualAdversarialObjective()],
)
def test_label_weights_weight_the_supervised_loss(batch: Images, objective: Objective) -> None:
    discriminator, weights = Pixels(), torch.tensor([0.5, 2.0, 1.0, 0.5], dtype=torch.float64)
    terms = objective.discriminator_terms(Identity(), discriminator, replace(batch, label_weights=weights))
    of_labeled = logits(discriminator, batch.labeled_images)
    right = np.exp(of_labeled)[range(4), batch.labels] / np.exp(of_labeled).sum(1)
    assert terms.losses["supervised"].item() == pytest.approx(-(weights.numpy() * np.log(right)).mean())


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


@pytest.mark.parametrize("kernels", [None, partial(MinibatchDiscrimination, num_kernels=3, kernel_dim=2)])
def test_a_discriminator_that_compares_gets_the_generated_images_last(kernels: object) -> None:
    """With batch norm by halves alone, too; and in the generator's update both halves."""
    discriminator = ImageNetDiscriminator((1, 32, 32), 3, width=2, input_noise=0.0, minibatch=kernels)
    labeled, unlabeled, fresh, generated = torch.rand(4, 3, 1, 32, 32)
    extra = torch.rand(2, 1, 32, 32)  # the similarities of a batch depend on its size
    generator = Identity()
    generator.draw_latents = lambda num, source=None: generated
    of_extra = torch.tensor([2, 0])
    images = Images(labeled, torch.tensor([0, 1, 2]), unlabeled, fresh, extra, of_extra)
    outputs = discriminator.forward_each([labeled, extra, unlabeled, generated])
    expected = torch.nn.functional.cross_entropy(outputs[1].logits, of_extra).item()
    _, unsupervised = losses.semi_supervised(
        outputs[0].logits.detach().numpy(),
        images.labels,
        *(outputs[place].logits.detach().numpy() for place in (2, 3)),
    )
    terms = SemiSupervised(unsupervised_weight=1.0).discriminator_terms(generator, discriminator, images).losses
    assert terms["pseudo_label"].item() == pytest.approx(expected, rel=1e-5)
    assert terms["unsupervised"].item() == pytest.approx(float(unsupervised), rel=1e-5)
    real, made = discriminator.forward_each([fresh, generated])
    for objective in (SemiSupervised(), Adversarial(matching_weight=1.0)):
        matching = objective.generator_terms(generator, discriminator, images).losses["feature_matching"]
        assert matching.item() == pytest.approx(feature_matching_loss(real.features, made.features).item(), rel=1e-5)
