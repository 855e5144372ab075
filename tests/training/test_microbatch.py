"""Micro-batches give the results of the whole batch, whichever rows a loss compares."""

from contextlib import nullcontext
from functools import partial

import pytest
import torch
from torch import Tensor, nn

from improved_gan import distributed
from improved_gan.data import Batch
from improved_gan.kernels.random_source import get_random_state, own_random_numbers, seed_random_numbers
from improved_gan.networks import DenseDiscriminator, DenseGenerator, Discriminator, DiscriminatorOutput, Generator
from improved_gan.techniques import MinibatchDiscrimination, feature_matching_loss
from improved_gan.training import Adversarial, Objective, Optimizers, SemiSupervised, train_step
from improved_gan.training.microbatch import MicrobatchedGenerator, wrap_networks
from tests.ranks import TwoRanks


class RowGenerator(Generator):
    """Rows are independent: no batch norm."""

    is_batch_independent = True

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(5, 64)
        self.largest_pass = 0

    def draw_latents(self, num: int, *, source: torch.Generator | None = None) -> Tensor:
        return torch.rand(num, 5, generator=source)

    def forward(self, latents: Tensor) -> Tensor:
        self.largest_pass = max(self.largest_pass, len(latents))
        return torch.sigmoid(self.layer(latents)).reshape(-1, 1, 8, 8)


class Comparing(Discriminator):
    is_batch_independent = False

    def __init__(self) -> None:
        super().__init__()
        self.layer = MinibatchDiscrimination(64, 3, 2)

    def forward(self, images: Tensor) -> DiscriminatorOutput:
        features = self.layer(images.flatten(1))
        return DiscriminatorOutput(features[:, 0], features)


def batch(num: int = 12) -> Batch:
    source = torch.Generator().manual_seed(3)
    images = [torch.rand(num, 1, 8, 8, generator=source) for _ in range(3)]
    return Batch(images[0], torch.arange(num) % 10, images[1], images[2])


def stepped(objective: Objective, generator: Generator, noise: float = 0.0, **options: object) -> list[Tensor]:
    """All parameters after two steps, and the terms."""
    torch.manual_seed(1)
    discriminator = DenseDiscriminator((1, 8, 8), 10, hidden=(20, 12), input_noise=noise, hidden_noise=noise)
    optimizers = Optimizers(
        *(
            torch.optim.SGD([p for p in net.parameters() if p.requires_grad], lr=0.3)
            for net in (discriminator, generator)
        )
    )
    terms = {}
    for step in range(2):
        torch.manual_seed(step)
        terms = train_step(generator, discriminator, objective, batch(), optimizers, **options)
    return [*terms.values(), *(p.detach() for net in (generator, discriminator) for p in net.parameters())]


OBJECTIVES = {
    "means of features": SemiSupervised(generator_loss=partial(feature_matching_loss, variant="paper")),
    "rows": Adversarial(),
    "simultaneous": Adversarial(simultaneous=True),
}


@pytest.mark.parametrize("name", OBJECTIVES)
@pytest.mark.parametrize("rows", [5, 12, 100])
@pytest.mark.parametrize("kind", [RowGenerator, partial(DenseGenerator, (1, 8, 8), latent_size=5, hidden=(9,))])
def test_micro_batches_change_nothing(name: str, rows: int, kind: type[Generator]) -> None:
    torch.manual_seed(8)
    whole = kind()
    torch.manual_seed(8)
    parts = kind()
    objective = OBJECTIVES[name]
    generator_updates = 1 if objective.simultaneous else 2
    expected = stepped(objective, whole, generator_updates=generator_updates)
    got = stepped(objective, parts, generator_updates=generator_updates, micro_batch=rows)
    torch.testing.assert_close(got, expected)
    if isinstance(parts, RowGenerator):
        assert parts.largest_pass == min(rows, 12)


@pytest.mark.parametrize("own", [False, True])
def test_noise_is_the_same_in_the_recomputed_pass(own: bool) -> None:
    """Otherwise the gradient would be that of another loss than the reported one: compared with a finite difference."""
    torch.manual_seed(0)
    discriminator = DenseDiscriminator((1, 8, 8), 10, hidden=(20, 12)).double()
    _, wrapped = wrap_networks(RowGenerator(), discriminator, 4)
    images = torch.rand(10, 1, 8, 8, dtype=torch.float64, requires_grad=True)

    def loss(values: Tensor) -> Tensor:
        seed_random_numbers(7)
        return wrapped(values).logits.square().mean()

    with own_random_numbers(7) if own else nullcontext():
        assert torch.autograd.gradcheck(loss, images, fast_mode=True)
        seed_random_numbers(7)
        wrapped(images.detach())
        later = get_random_state()
        loss(images).backward()
        assert get_random_state().equal(later)


def test_micro_batches_in_bfloat16_are_close() -> None:
    torch.manual_seed(8)
    whole, parts = RowGenerator(), RowGenerator()
    parts.load_state_dict(whole.state_dict())
    expected = stepped(Adversarial(), whole, precision=torch.bfloat16)
    torch.testing.assert_close(
        stepped(Adversarial(), parts, precision=torch.bfloat16, micro_batch=5), expected, atol=0.02, rtol=0.05
    )


def test_a_discriminator_that_compares_rows_is_refused() -> None:
    with pytest.raises(ValueError, match=r"Comparing depend on the whole batch.*micro-batches of 5.*micro_batch 0"):
        wrap_networks(RowGenerator(), Comparing(), 5)
    assert wrap_networks(RowGenerator(), wrapped := Comparing(), 0)[1] is wrapped


def test_several_generator_updates_per_step() -> None:
    def moved(generator_updates: int) -> float:
        torch.manual_seed(8)
        generator = RowGenerator()
        before = generator.layer.weight.detach().clone()
        stepped(Adversarial(), generator, generator_updates=generator_updates)
        return (generator.layer.weight.detach() - before).norm().item()

    assert moved(3) > 2 * moved(1) > 0


def drawn() -> tuple[Tensor, Tensor]:
    """This rank's latents, and its next random numbers."""
    torch.manual_seed(4 + distributed.rank())
    return MicrobatchedGenerator(RowGenerator(), 0).draw_latents(3), torch.rand(3)


def test_ranks_divide_the_latents_that_one_process_draws(two_ranks: TwoRanks) -> None:
    (first, noise), (second, other) = two_ranks(drawn)
    torch.manual_seed(4)
    RowGenerator()  # draws its initial weights from the same stream
    assert torch.equal(torch.cat([first, second]), torch.rand(6, 5))
    assert not torch.equal(noise, other)
