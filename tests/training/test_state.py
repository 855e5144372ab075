import pytest
import torch

from improved_gan.data import Batches, LabelSplit, load_digits
from improved_gan.models import DenseDiscriminator, DenseGenerator
from improved_gan.techniques import WeightAverage
from improved_gan.training import Optimizers, SemiSupervised, train_step
from improved_gan.training.state import TrainingState, below


def fresh(hidden: int = 20) -> TrainingState:
    generator = DenseGenerator((1, 8, 8), latent_size=5, hidden=(hidden,))
    discriminator = DenseDiscriminator((1, 8, 8), 10, hidden=(hidden,))
    adams = [
        torch.optim.Adam([p for p in network.parameters() if p.requires_grad], lr=1e-3, fused=True)
        for network in (discriminator, generator)
    ]
    return TrainingState(generator, discriminator, Optimizers(*adams), WeightAverage(discriminator))


def advance(state: TrainingState, steps: int) -> None:
    digits = load_digits()
    batches = Batches(digits.train, LabelSplit.draw(digits.train.labels, 50, seed=0), batch_size=50, seed=0)
    iterator = batches.epoch(0, first_step=state.step)
    for _ in range(steps):
        state.add(train_step(state.generator, state.discriminator, SemiSupervised(), next(iterator), state.optimizers))
        state.average.update()


def same(a: dict[str, torch.Tensor], b: dict[str, torch.Tensor]) -> bool:
    return a.keys() == b.keys() and all(torch.equal(a[name], b[name]) for name in a)


def test_loading_what_was_saved_continues_bit_for_bit() -> None:
    whole = fresh()
    advance(whole, 4)
    saved = {name: value.clone() for name, value in whole.tensors().items()}
    advance(whole, 5)
    torch.manual_seed(99)
    resumed = fresh()
    resumed.load(saved)
    assert same(resumed.tensors(), saved)
    advance(resumed, 5)
    assert same(resumed.tensors(), whole.tensors())


def test_means_are_of_the_steps_since_the_last_report() -> None:
    state = fresh()
    for value in (1.0, 2.0, 6.0):
        state.add({"loss": torch.tensor(value)})
    assert state.take_means() == {"loss": 3.0}
    state.add({"loss": torch.tensor(10.0)})
    assert state.take_means() == {"loss": 10.0}
    assert state.step == 4


def test_a_number_that_is_not_finite_is_noticed_even_when_the_next_is() -> None:
    state = fresh()
    assert state.not_finite() == []
    state.add({"loss": torch.tensor(float("nan"))})
    state.add({"loss": torch.tensor(1.0)})
    assert state.not_finite() == ["loss"]


def test_a_weight_that_is_not_finite_is_noticed_before_it_shows_in_a_loss() -> None:
    state = fresh()
    with torch.no_grad():
        state.generator.output.bias[0] = float("inf")
    assert state.not_finite() == ["a weight of the generator"]


def test_another_network_is_refused() -> None:
    state = fresh()
    advance(state, 1)
    with pytest.raises(RuntimeError, match="size mismatch"):
        fresh(hidden=21).load(state.tensors())


def test_below_takes_a_prefix_off() -> None:
    one = torch.ones(())
    assert below({"a.b": one, "ab.c": one, "a.b.c": one}, "a") == {"b": one, "b.c": one}
