from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from improved_gan.data import Batch
from improved_gan.networks import (
    ConvolutionalDiscriminator,
    ConvolutionalGenerator,
    DenseDiscriminator,
    DenseGenerator,
    Discriminator,
    Generator,
)
from improved_gan.recipes import digits
from improved_gan.runs.loop import step_all
from improved_gan.techniques import MinibatchDiscrimination, WeightEMA, feature_matching_loss, weight_norm
from improved_gan.training import Objective, Optimizers, SemiSupervised, SupervisedBaseline, train_step
from improved_gan.training.state import TrainingState
from improved_gan.training.vmapped import StackedNetwork, VmappedTraining, stacked_ema, vmap_incompatibility, vmappable


def networks(num: int = 3) -> list[nn.Module]:
    result = []
    for seed in range(num):
        torch.manual_seed(seed)
        first, second = weight_norm(nn.Linear(4, 3)), weight_norm(nn.Linear(3, 2), learn_scale=False)
        network = nn.Sequential(nn.BatchNorm1d(4), first, nn.Tanh(), second)
        result.append(network)
    return result


@pytest.mark.parametrize("layer", [nn.Linear(4, 3), nn.Conv2d(2, 3, 3), nn.ConvTranspose2d(2, 3, 5)])
def test_a_vmappable_copy_has_the_same_weights(layer: nn.Module) -> None:
    network = weight_norm(layer, scale=0.7)
    torch.testing.assert_close(vmappable(network).weight, network.weight)
    assert network.parametrizations.weight[0] is not vmappable(network).parametrizations.weight[0]


def test_networks_become_views_and_stacked_adam_equals_their_own() -> None:
    models, separate = networks(), networks()
    adams = [torch.optim.Adam([p for p in one.parameters() if p.requires_grad], lr=0.1, fused=True) for one in models]
    own = [torch.optim.Adam([p for p in one.parameters() if p.requires_grad], lr=0.1, fused=True) for one in separate]
    inputs = torch.randn(3, 8, 4)

    def update(network: nn.Module, optimizer: torch.optim.Optimizer, values: torch.Tensor) -> None:
        optimizer.zero_grad()
        network(values).square().sum().backward()
        optimizer.step()

    for index in range(3):  # one step before they are stacked
        update(models[index], adams[index], inputs[index])
        update(separate[index], own[index], inputs[index])
    stacked = StackedNetwork("discriminator", models)
    stacked.stack_optimizers(adams)
    for _ in range(2):
        stacked.optimizer.zero_grad()
        for index in range(3):  # the views have no graph to the stack, so its gradient is set explicitly
            loss = models[index](inputs[index]).square().sum()
            trainable = [p for p in models[index].parameters() if p.requires_grad]
            for whole, gradient in zip(stacked.trainable(), torch.autograd.grad(loss, trainable), strict=True):
                whole.grad = torch.zeros_like(whole) if whole.grad is None else whole.grad
                whole.grad[index] = gradient
            update(separate[index], own[index], inputs[index])
        stacked.optimizer.step()
    for index in range(3):
        stacked.unstack(adams[index])
        for ours, theirs in zip(models[index].parameters(), separate[index].parameters(), strict=True):
            torch.testing.assert_close(ours, theirs)
        for ours, theirs in zip(adams[index].state.values(), own[index].state.values(), strict=True):
            assert ours["step"] == theirs["step"] == 3
            torch.testing.assert_close(ours["exp_avg_sq"], theirs["exp_avg_sq"])


def test_a_stacked_average_equals_each_models_own() -> None:
    models = networks(2)
    averages = [WeightEMA(one, 0.5) for one in models]
    for average in averages:
        average.update()
    stacked = StackedNetwork("discriminator", models)
    common = stacked_ema(averages, stacked)
    expected = [average.averaged(one)[1].bias for average, one in zip(averages, models, strict=True)]
    with torch.no_grad():
        for value in stacked.trainable():
            value += 1
    common.update()
    for average in averages:
        average.num_updates += 1
    for average, one, before in zip(averages, models, expected, strict=True):
        # a_2 = (a_1 + theta + 1) / 2 with a_1 = theta / 2, corrected by 1 - 0.5^2
        torch.testing.assert_close(average.averaged(one)[1].bias, (before / 4 + (before + 1) / 2) / 0.75)


NUM, ROWS = 3, 12
RECIPE = replace(digits(), epochs=2, learning_rate=0.01, lr_decay_fraction=0.5)
Pair = Callable[[], tuple[Generator, Discriminator]]


class FixedLatents:
    """Latents fixed in advance, in a buffer, so that a model trained alone can have the same."""

    def draw_latents(self: Any, num: int, *, source: torch.Generator | None = None) -> Tensor:
        latents: Tensor = self.latents
        return latents[:num]


class DenseFixed(FixedLatents, DenseGenerator):
    pass


class ConvolutionalFixed(FixedLatents, ConvolutionalGenerator):
    pass


def dense() -> tuple[Generator, Discriminator]:
    generator = DenseFixed((1, 8, 8), latent_size=5, hidden=(16, 12))
    return generator, DenseDiscriminator((1, 8, 8), 4, hidden=(20, 10), input_noise=0, hidden_noise=0)


def convolutional() -> tuple[Generator, Discriminator]:
    generator = ConvolutionalFixed((1, 8, 8), latent_size=5, widths=(6, 4))
    settings = {"widths": (5,), "input_dropout": 0.0, "hidden_dropout": 0.0}
    return generator, ConvolutionalDiscriminator((1, 8, 8), 4, **settings)


def noisy() -> tuple[Generator, Discriminator]:
    generator = DenseGenerator((1, 8, 8), latent_size=5, hidden=(16,))
    return generator, DenseDiscriminator((1, 8, 8), 4, hidden=(20, 10))


def dropping() -> tuple[Generator, Discriminator]:
    return ConvolutionalGenerator((1, 8, 8), latent_size=5, widths=(6, 4)), ConvolutionalDiscriminator(
        (1, 8, 8), 4, widths=(5,)
    )


def state(pair: Pair, seed: int, dtype: torch.dtype = torch.float64) -> TrainingState:
    torch.manual_seed(seed)
    generator, discriminator = pair()
    discriminator.init_from_data_(torch.rand(50, 1, 8, 8))
    generator.register_buffer("latents", torch.rand(ROWS, 5))
    for network in (generator, discriminator):
        network.to(dtype).train()
    adams = [
        torch.optim.Adam([p for p in network.parameters() if p.requires_grad], lr=1.0, betas=(0.5, 0.999), fused=True)
        for network in (discriminator, generator)
    ]
    for group in adams[0].param_groups:
        group["lr_scale"] = 0.5
    return TrainingState(generator, discriminator, Optimizers(*adams), WeightEMA(discriminator, 0.9, every=2))


def batch(seed: int, *, pseudo_labels: bool = False, dtype: torch.dtype = torch.float64) -> Batch:
    random = torch.Generator().manual_seed(seed)
    images = [torch.rand(ROWS, 1, 8, 8, generator=random).to(dtype) for _ in range(4)]
    labels = torch.randint(4, (2, ROWS), generator=random)
    result = Batch(images[0], labels[0], images[1], images[2])
    return (
        replace(result, pseudo_labeled_images=images[3][:5], pseudo_labels=labels[1][:5]) if pseudo_labels else result
    )


class Source:
    """Two epochs of three batches, different for each model."""

    steps_per_epoch = 3

    def __init__(self, model: int, **settings: Any) -> None:
        self.model, self.settings = model, settings

    def epoch(self, epoch: int, *, first_step: int = 0) -> Any:
        for step in range(first_step, self.steps_per_epoch):
            yield batch(100 * self.model + 10 * epoch + step, **self.settings)


def train_alone(one: TrainingState, source: Source, objective: Objective, *, generator_updates: int = 1) -> None:
    """The reference: the step of one model, whose parts have tests of their own."""
    for epoch in range(one.step // source.steps_per_epoch, RECIPE.epochs):
        for optimizer in (one.optimizers.discriminator, one.optimizers.generator):
            for group in optimizer.param_groups:
                group["lr"] = RECIPE.lr(epoch) * group.get("lr_scale", 1.0)
        for images in source.epoch(epoch, first_step=one.step % source.steps_per_epoch):
            one.add(
                train_step(
                    one.generator,
                    one.discriminator,
                    objective,
                    images,
                    one.optimizers,
                    generator_updates=generator_updates,
                )
            )
            one.average.update()


def train_vmapped(
    states: list[TrainingState], sources: list[Source], objective: Objective, **settings: Any
) -> VmappedTraining:
    recipe = replace(RECIPE, **settings)
    training = VmappedTraining(states, objective)
    for _ in step_all(training, sources, recipe):
        pass
    training.unstack()
    return training


def check_same(a: TrainingState, b: TrainingState) -> None:
    ours, theirs = a.tensors(), b.tensors()
    assert not theirs.keys() - ours.keys()
    assert not any(ours[name].any() for name in ours.keys() - theirs.keys())  # moments of a network that is not updated
    for name in theirs.keys() - {"random.cpu", "progress.seconds"}:
        torch.testing.assert_close(
            ours[name], theirs[name], rtol=1e-6, atol=1e-8, msg=lambda text, name=name: name + text
        )


@pytest.mark.parametrize("pseudo_labels", [False, True])
@pytest.mark.parametrize("generator_updates", [1, 2])
@pytest.mark.parametrize("pair", [dense, convolutional])
def test_every_model_learns_what_it_learns_alone(pair: Pair, generator_updates: int, pseudo_labels: bool) -> None:
    objective = SemiSupervised()
    sources = [Source(model, pseudo_labels=pseudo_labels) for model in range(NUM)]
    states, alone = ([state(pair, seed) for seed in range(NUM)] for _ in range(2))
    for one, source in zip(alone, sources, strict=True):
        train_alone(one, source, objective, generator_updates=generator_updates)
    train_vmapped(states, sources, objective, generator_updates=generator_updates)
    for one, other in zip(states, alone, strict=True):
        check_same(one, other)
        assert one.pop_means() == pytest.approx(other.pop_means(), rel=1e-6)


@pytest.mark.parametrize(
    "objective",
    [
        SupervisedBaseline(),
        SemiSupervised(generator_loss=lambda a, b: feature_matching_loss(a, b, variant="released-cifar10")),
    ],
)
def test_other_objectives(objective: Objective) -> None:
    states, alone = ([state(dense, seed) for seed in range(2)] for _ in range(2))
    for model, one in enumerate(alone):
        train_alone(one, Source(model), objective)
    train_vmapped(states, [Source(0), Source(1)], objective)
    for one, other in zip(states, alone, strict=True):
        check_same(one, other)


def test_resumes_from_a_checkpoint_vmapped_and_alone() -> None:
    """Three steps alone, then three vmapped, then a checkpoint that a model alone can load."""
    straight = [state(dense, seed) for seed in range(2)]
    stopped = [state(dense, seed) for seed in range(2)]
    for model, (one, other) in enumerate(zip(straight, stopped, strict=True)):
        train_alone(one, Source(model), SemiSupervised())
        source = Source(model)
        for images in source.epoch(0):
            for optimizer in (other.optimizers.discriminator, other.optimizers.generator):
                for group in optimizer.param_groups:
                    group["lr"] = RECIPE.lr(0) * group.get("lr_scale", 1.0)
            other.add(train_step(other.generator, other.discriminator, SemiSupervised(), images, other.optimizers))
            other.average.update()
    loaded = [state(dense, 10 + seed) for seed in range(2)]
    for one, other in zip(loaded, stopped, strict=True):
        one.load(other.tensors())
    train_vmapped(loaded, [Source(0), Source(1)], SemiSupervised())
    again = state(dense, 20)
    again.load(loaded[1].tensors())
    for one, other in zip((loaded[0], again), straight, strict=True):
        check_same(one, other)


def test_the_states_have_the_newest_weights_before_unstack() -> None:
    states = [state(dense, seed) for seed in range(2)]
    training = VmappedTraining(states, SemiSupervised())
    before = [one.discriminator.state_dict()["output.bias"].clone() for one in states]
    training.step([batch(0), batch(1)])
    assert all(
        not torch.equal(one.discriminator.state_dict()["output.bias"], old)
        for one, old in zip(states, before, strict=True)
    )
    assert [one.step for one in states] == [0, 0]
    assert training.step_number == 1
    training.unstack()
    assert [one.step for one in states] == [1, 1]
    assert training.step_number == 1
    assert states[0].seconds == states[1].seconds > 0


@pytest.mark.parametrize("precision", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("pair", [noisy, dropping])
def test_equal_models_draw_different_noise(pair: Pair, precision: torch.dtype) -> None:
    states = [state(pair, 1, torch.float32) for _ in range(2)]
    training = VmappedTraining(states, SemiSupervised(), precision)
    training.set_lr(0.01)
    training.step([batch(0, dtype=torch.float32)] * 2)
    training.unstack()
    first, second = (one.pop_means() for one in states)
    assert first["discriminator/supervised"] == pytest.approx(second["discriminator/supervised"], rel=0.5)
    assert first["discriminator/supervised"] != second["discriminator/supervised"]
    weights = [one.tensors() for one in states]
    moved = [name for name in weights[0] if name.startswith("generator.") and "weight" in name and "norm" not in name]
    assert all(weights[0][name].isfinite().all() for name in moved)
    assert any(not torch.equal(weights[0][name], weights[1][name]) for name in moved)


def test_reasons_against_one_vmapped_step() -> None:
    assert vmap_incompatibility([state(dense, 1), state(dense, 2)], SemiSupervised()) == ""
    further = state(dense, 1)
    further.step = 1
    assert "different steps" in vmap_incompatibility([further, state(dense, 2)], SemiSupervised())
    assert "different shapes" in vmap_incompatibility([state(dense, 1), state(noisy, 1)], SemiSupervised())
    assert "micro-batches" in vmap_incompatibility([state(dense, 1)], SemiSupervised(), micro_batch=2)
    comparing = state(dense, 1)
    comparing.discriminator.minibatch = MinibatchDiscrimination(4, 2, 2)
    assert "compares rows" in vmap_incompatibility([comparing], SemiSupervised())

    class Own(SemiSupervised):
        pass

    with pytest.raises(ValueError, match="cannot be trained in one vmapped step: the objective is not known"):
        VmappedTraining([state(dense, 1)], Own())
