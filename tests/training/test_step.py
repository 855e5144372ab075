from dataclasses import replace
from functools import partial

import numpy as np
import pytest
import torch

from improved_gan.data import Batches, LabelSplit, load_digits
from improved_gan.networks import (
    DenseDiscriminator,
    DenseGenerator,
    ImageNetDiscriminator,
    ImageNetGenerator,
    ReferenceGenerator,
)
from improved_gan.techniques import MinibatchDiscrimination, data_dependent_init_
from improved_gan.training import Adversarial, Optimizers, SemiSupervised, train_step
from tests.oracles.plain_port import plain_step
from tests.training.test_objectives import Identity, Images, Pixels

RATE = 0.05


def small_networks() -> tuple[DenseGenerator, DenseDiscriminator, Batches]:
    """Small networks without noise, so that two implementations of a step can be compared exactly."""
    torch.manual_seed(3)
    digits = load_digits()
    split = LabelSplit.draw(digits.train.labels, 50, seed=0)
    generator = DenseGenerator((1, 8, 8), latent_size=10, hidden=(30,))
    discriminator = DenseDiscriminator((1, 8, 8), 10, hidden=(40, 20), input_noise=0, hidden_noise=0)
    data_dependent_init_(discriminator, digits.train.images[:100] / 255)
    return generator, discriminator, Batches(digits.train, split, batch_size=50, seed=0)


def sgd(network: torch.nn.Module) -> torch.optim.Optimizer:
    return torch.optim.SGD([p for p in network.parameters() if p.requires_grad], lr=RATE)


def optimizers(generator: torch.nn.Module, discriminator: torch.nn.Module) -> Optimizers:
    return Optimizers(sgd(discriminator), sgd(generator))


def one_step(generator: DenseGenerator, discriminator: DenseDiscriminator, batches: Batches) -> None:
    both = optimizers(generator, discriminator)
    train_step(generator, discriminator, SemiSupervised(), next(batches.epoch(0)), both)


def test_steps_equal_the_plain_three_pass_port() -> None:
    ours, theirs = small_networks(), small_networks()
    ours_optimizers = optimizers(ours[0], ours[1])
    theirs_optimizers = sgd(theirs[1]), sgd(theirs[0])
    for step, (batch, same) in enumerate(zip(ours[2].epoch(0), theirs[2].epoch(0), strict=True)):
        torch.manual_seed(step)
        terms = train_step(ours[0], ours[1], SemiSupervised(), batch, ours_optimizers)
        torch.manual_seed(step)
        expected = plain_step(theirs[0], theirs[1], same, *theirs_optimizers)
        assert {name: terms[name].item() for name in expected} == pytest.approx(expected, rel=1e-4)
    for a, b in zip(
        (*ours[0].parameters(), *ours[1].parameters()), (*theirs[0].parameters(), *theirs[1].parameters()), strict=True
    ):
        torch.testing.assert_close(a, b, rtol=1e-3, atol=1e-5)


def test_the_discriminator_is_trainable_again_after_the_generator_update() -> None:
    generator, discriminator, batches = small_networks()
    before = [parameter.requires_grad for parameter in discriminator.parameters()]
    frozen_scale = discriminator.hidden[0].parametrizations.weight.original0
    value = frozen_scale.clone()
    one_step(generator, discriminator, batches)
    assert [parameter.requires_grad for parameter in discriminator.parameters()] == before
    assert False in before
    assert torch.equal(frozen_scale, value)


def test_each_network_is_updated() -> None:
    generator, discriminator, batches = small_networks()
    before = [p.clone() for p in (*generator.parameters(), *discriminator.parameters()) if p.requires_grad]
    one_step(generator, discriminator, batches)
    after = [p for p in (*generator.parameters(), *discriminator.parameters()) if p.requires_grad]
    assert all(not torch.equal(a, b) for a, b in zip(before, after, strict=True))


def test_bfloat16_steps_keep_parameters_and_losses_in_float32() -> None:
    generator, discriminator, batches = small_networks()
    both = optimizers(generator, discriminator)
    exact = small_networks()
    torch.manual_seed(0)
    terms = train_step(
        generator, discriminator, SemiSupervised(), next(batches.epoch(0)), both, precision=torch.bfloat16
    )
    torch.manual_seed(0)
    expected = train_step(exact[0], exact[1], SemiSupervised(), next(exact[2].epoch(0)), optimizers(exact[0], exact[1]))
    assert all(value.dtype == torch.float32 for value in terms.values())
    assert all(parameter.dtype == torch.float32 for parameter in discriminator.parameters())
    for name in ("discriminator/supervised", "discriminator/unsupervised"):
        assert terms[name].item() == pytest.approx(expected[name].item(), rel=0.03)


def test_float16_is_refused_and_not_run_in_float32() -> None:
    generator, discriminator, batches = small_networks()
    both, batch = optimizers(generator, discriminator), next(batches.epoch(0))
    with pytest.raises(ValueError, match=r"torch\.float32 or torch\.bfloat16; got torch\.float16"):
        train_step(generator, discriminator, SemiSupervised(), batch, both, precision=torch.float16)


def test_simultaneous_updates_use_one_draw_of_latents_and_the_parameters_before_the_step() -> None:
    """Against the derivatives in closed form, of D(x) = sigmoid(w x + b) and G(z) = s z."""
    generator, discriminator = Identity(), Pixels(None)
    real = torch.randn(5, 1, 2, 2, dtype=torch.float64)
    batch = Images(real, torch.zeros(5).long(), real, torch.full_like(real, torch.nan))
    w, b = (one.detach().numpy().copy() for one in discriminator.layer.parameters())
    scale = generator.scale.item()
    train_step(generator, discriminator, Adversarial(simultaneous=True), batch, optimizers(generator, discriminator))
    (latents,) = generator.drawn
    x, z = real.flatten(1).numpy(), latents.flatten(1).numpy()
    of_real, of_generated = (1 / (1 + np.exp(-(rows @ w[0] + b))) for rows in (x, scale * z))
    gradient_of_w = (-(1 - of_real)[:, None] * x).mean(0) + (of_generated[:, None] * scale * z).mean(0)
    gradient_of_b = -(1 - of_real).mean() + of_generated.mean()
    gradient_of_scale = (-(1 - of_generated) * (z @ w[0])).mean()
    np.testing.assert_allclose(discriminator.layer.weight.detach().numpy()[0], w[0] - RATE * gradient_of_w, rtol=1e-9)
    assert discriminator.layer.bias.item() == pytest.approx(b[0] - RATE * gradient_of_b, rel=1e-9)
    assert generator.scale.item() == pytest.approx(scale - RATE * gradient_of_scale, rel=1e-6)


def test_simultaneous_gradients_are_those_of_two_separate_passes() -> None:
    """With batch norm, minibatch features and labels, as in the released ImageNet experiment."""
    layer = partial(MinibatchDiscrimination, num_kernels=3, kernel_dim=2)
    generator = ImageNetGenerator((1, 32, 32), latent_size=4, width=2, factors=(2, 1), noise_channels=1)
    discriminator = ImageNetDiscriminator((1, 32, 32), 3, width=2, input_noise=0.0, minibatch=layer)
    images, latents = torch.rand(4, 1, 32, 32), generator.draw_latents(4)
    generator.draw_latents = lambda num, source=None: latents
    batch = Images(images, torch.tensor([0, 1, 2, 0]), images, images)
    objective = Adversarial(supervised_weight=1.0, labeled_as_real=True, generated_class=True)
    d_terms = objective.discriminator_terms(generator, discriminator, batch)
    g_terms = objective.generator_terms(generator, discriminator, batch)
    d_parameters, g_parameters = list(discriminator.parameters()), list(generator.parameters())
    expected = (
        *torch.autograd.grad(sum(d_terms.losses.values()), d_parameters),
        *torch.autograd.grad(sum(g_terms.losses.values()), g_parameters),
    )
    together = replace(objective, simultaneous=True)
    terms = train_step(generator, discriminator, together, batch, optimizers(generator, discriminator))
    found = [one.grad for one in (*d_parameters, *g_parameters)]
    torch.testing.assert_close(found, list(expected), rtol=1e-4, atol=1e-6)
    assert terms["discriminator/supervised"].item() == pytest.approx(d_terms.losses["supervised"].item(), rel=1e-5)
    assert terms["generator/adversarial"].item() == pytest.approx(g_terms.losses["adversarial"].item(), rel=1e-5)


def test_simultaneous_updates_leave_frozen_parameters_alone() -> None:
    found = []
    for only_trained in (True, False):
        generator, discriminator, batches = small_networks()
        for network in (generator, discriminator):
            next(network.parameters()).requires_grad_(False)
        chosen = (
            [one for one in network.parameters() if one.requires_grad or not only_trained]
            for network in (discriminator, generator)
        )
        both = Optimizers(*(torch.optim.SGD(some, lr=0.1) for some in chosen))
        torch.manual_seed(0)
        train_step(generator, discriminator, Adversarial(simultaneous=True), next(batches.epoch(0)), both)
        found.append([one.detach().clone() for network in (generator, discriminator) for one in network.parameters()])
        assert next(generator.parameters()).grad is None
    assert all(one.equal(other) for one, other in zip(*found, strict=True))
    later = discriminator.output.bias.requires_grad_(False)  # frozen between two steps: its old gradient must not count
    value = later.clone()
    train_step(generator, discriminator, Adversarial(simultaneous=True), next(batches.epoch(0)), both)
    assert later.equal(value)


def test_simultaneous_gradients_with_noise_in_bfloat16_have_one_draw_for_both_networks() -> None:
    """Each is bit for bit that of a pass of its own with the same draws, and near that in float32."""
    layer = partial(MinibatchDiscrimination, num_kernels=3, kernel_dim=2)
    images, labels = torch.rand(4, 1, 32, 32), torch.tensor([0, 1, 2, 0])
    batch = Images(images, labels, images, images)
    objective = Adversarial(supervised_weight=1.0, labeled_as_real=True, generated_class=True, simultaneous=True)

    def networks() -> tuple[ReferenceGenerator, ImageNetDiscriminator]:
        torch.manual_seed(1)
        build = partial(ImageNetGenerator, (1, 32, 32), latent_size=4, width=2, factors=(2, 1), noise_channels=1)
        discriminator = ImageNetDiscriminator((1, 32, 32), 3, width=2, input_noise=0.5, minibatch=layer)
        pair = ReferenceGenerator(build, num_reference=4), discriminator
        torch.manual_seed(2)  # for the latents and the noise of the pass
        return pair

    def gradients(precision: torch.dtype) -> list[torch.Tensor]:
        generator, discriminator = networks()
        both = optimizers(generator, discriminator)
        train_step(generator, discriminator, objective, batch, both, precision=precision)
        return [one.grad for network in (discriminator, generator) for one in network.parameters()]

    expected = []
    for index in (0, 1):
        generator, discriminator = networks()
        with torch.autocast("cpu", torch.bfloat16):
            losses = objective.joint_terms(generator, discriminator, batch)[index].losses
        parameters = list((discriminator, generator)[index].parameters())
        expected += torch.autograd.grad(torch.stack(list(losses.values())).sum(), parameters)
    found, precise = gradients(torch.bfloat16), gradients(torch.float32)
    assert all(one.equal(other) for one, other in zip(found, expected, strict=True))
    rounded, exact = (torch.cat([one.flatten() for one in some]) for some in (found, precise))
    assert torch.cosine_similarity(rounded, exact, dim=0) > 0.9


def test_simultaneous_updates_are_one_for_each_network() -> None:
    generator, discriminator, batches = small_networks()
    both, batch = optimizers(generator, discriminator), next(batches.epoch(0))
    with pytest.raises(ValueError, match="one for each network; got generator_updates=2"):
        train_step(generator, discriminator, Adversarial(simultaneous=True), batch, both, generator_updates=2)
    with pytest.raises(NotImplementedError, match="SemiSupervised has no simultaneous form"):
        SemiSupervised().joint_terms(generator, discriminator, batch)
