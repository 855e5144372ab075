import pytest
import torch

from improved_gan.data import Batches, LabelSplit, load_digits
from improved_gan.networks import DenseDiscriminator, DenseGenerator
from improved_gan.techniques import data_dependent_init_
from improved_gan.training import Optimizers, SemiSupervised, train_step
from tests.oracles.plain_port import plain_step


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
    return torch.optim.SGD([p for p in network.parameters() if p.requires_grad], lr=0.05)


def one_step(generator: DenseGenerator, discriminator: DenseDiscriminator, batches: Batches) -> None:
    optimizers = Optimizers(sgd(discriminator), sgd(generator))
    train_step(generator, discriminator, SemiSupervised(), next(batches.epoch(0)), optimizers)


def test_steps_equal_the_plain_three_pass_port() -> None:
    ours, theirs = small_networks(), small_networks()
    ours_optimizers = Optimizers(sgd(ours[1]), sgd(ours[0]))
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
    optimizers = Optimizers(sgd(discriminator), sgd(generator))
    exact = small_networks()
    torch.manual_seed(0)
    terms = train_step(
        generator, discriminator, SemiSupervised(), next(batches.epoch(0)), optimizers, precision=torch.bfloat16
    )
    torch.manual_seed(0)
    expected = train_step(
        exact[0], exact[1], SemiSupervised(), next(exact[2].epoch(0)), Optimizers(sgd(exact[1]), sgd(exact[0]))
    )
    assert all(value.dtype == torch.float32 for value in terms.values())
    assert all(parameter.dtype == torch.float32 for parameter in discriminator.parameters())
    for name in ("discriminator/supervised", "discriminator/unsupervised"):
        assert terms[name].item() == pytest.approx(expected[name].item(), rel=0.03)
