"""The techniques, described for the contract battery: to add one, add an entry to MEMBERS.

A member is something to call (a function, or a module that is built) on a batch of N examples, what it must give, and
how it answers batches of no, of one and of badly shaped examples.
"""

import copy
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from improved_gan import label_spreading as spreading
from improved_gan import techniques as t
from tests.oracles import losses, minibatch
from tests.oracles.virtual_batch_norm import virtual_batch_norm

Call = Callable[..., Tensor]


@dataclass(frozen=True)
class Member:
    """What the battery needs to know of one technique; all tensors in float64, shapes for a batch of N."""

    build: Callable[[], Call]
    inputs: Callable[[int], tuple[Tensor, ...]]
    shape: Callable[[int], tuple[int, ...]]
    oracle: Callable[..., Any]  # (what was built, *inputs as arrays) -> array
    wrong: tuple[tuple[Tensor, ...], str]  # inputs of wrong shape, and a pattern with the shapes that the error names
    empty: str | None  # pattern of the error for N = 0, None where the value is defined
    single: str | None = None  # the same for N = 1
    learns: tuple[int, ...] = (0,)  # inputs with a gradient
    batched: bool = True  # whether N means anything
    compiles: str = "fullgraph"  # or "breaks" or "never"
    rounds: bool = False  # goes through a network of the caller's, which computes in the precision of its input
    reads_values: bool = False  # looks at numbers while it runs, so it cannot run on the meta device


def rows(*sizes: int) -> Callable[[int], tuple[Tensor, ...]]:
    """One input (N, sizes...) of normal numbers, the same for the same N."""
    return lambda n: (draw(0, n, *sizes),)


def two(*sizes: int) -> Callable[[int], tuple[Tensor, ...]]:
    """Two inputs (N, sizes...), as real and generated."""
    return lambda n: (draw(0, n, *sizes), draw(1, n, *sizes))


def draw(seed: int, *shape: int) -> Tensor:
    # Rows are drawn one after another, so that a larger batch begins with the smaller one.
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def scalar(_: int) -> tuple[int, ...]:
    return ()


def semi_supervised_inputs(n: int) -> tuple[Tensor, ...]:
    return draw(0, n, 3), torch.arange(n) % 3, draw(1, n, 3), draw(2, n, 3)


class TwoSided(nn.Module):
    """Both halves' features one above the other, so that the battery gets one tensor."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = t.MinibatchDiscrimination(4, 3, 2)

    def forward(self, real: Tensor, generated: Tensor) -> Tensor:
        return torch.stack(self.layer.forward_real_and_generated(real, generated), dim=1)


def two_sided_oracle(module: TwoSided, real: np.ndarray, generated: np.ndarray) -> np.ndarray:
    m = {key: np.tensordot(f, numbers(module.layer.weight), 1) for key, f in (("r", real), ("g", generated))}
    n = len(real)
    own = {key: minibatch.similarity(m[key], include_self=False) / (n - 1) for key in m}
    of_real = np.concatenate([real, own["r"], minibatch.similarity(m["r"], m["g"]) / n], 1)
    of_generated = np.concatenate([generated, minibatch.similarity(m["g"], m["r"]) / n, own["g"]], 1)
    return np.stack([of_real, of_generated], 1)


def minibatch_oracle(layer: t.MinibatchDiscrimination, features: np.ndarray) -> np.ndarray:
    if layer.variant == "paper":
        similarity = minibatch.similarity(np.tensordot(features, numbers(layer.weight), 1))
    else:
        m = minibatch.released_projection(features, numbers(layer.weight), numbers(layer.log_weight_scale))
        similarity = minibatch.similarity(m, include_self=False) + numbers(layer.bias)
    return np.concatenate([features, similarity], 1)


def pooled_oracle(layer: t.MinibatchDiscrimination, features: np.ndarray) -> np.ndarray:
    """Compared by the mean over positions; the similarities at every position."""
    pooled = features.reshape(*features.shape[:2], -1).mean(2)
    return with_channel(features, minibatch.similarity(np.tensordot(pooled, numbers(layer.weight), 1)))


def with_channel(features: np.ndarray, numbers_of_each: np.ndarray) -> np.ndarray:
    """(N, C, ...) and (N, B) -> (N, C + B, ...)."""
    shape = (*numbers_of_each.shape, *[1] * (features.ndim - 2))
    repeated = np.broadcast_to(numbers_of_each.reshape(shape), (*numbers_of_each.shape, *features.shape[2:]))
    return np.concatenate([features, repeated], 1)


def layers_matched(real: Tensor, generated: Tensor, variant: str) -> Tensor:
    """Two discriminators, of two layers and of one, whose maps have other shapes; weights for each."""
    maps = [[[x, x.flatten(1)[:, :5]], [x[:, :, :2]]] for x in (real, generated)]
    return t.feature_matching_loss(*maps, variant=variant, reduction=[[1.0, 2.0], [0.5]])


def layers_matched_oracle(real: np.ndarray, generated: np.ndarray, variant: str) -> float:
    maps = [[x, x.reshape(len(x), -1)[:, :5], x[:, :, :2]] for x in (real, generated)]
    each = [losses.feature_matching(*pair, variant) for pair in zip(*maps, strict=True)]
    return float(np.dot(each, [1.0, 2.0, 0.5]))


class Penalized(nn.Module):
    """D(x) = sum_k tanh(x W)_k: a discriminator whose gradient has a closed form."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(4, 3))

    def forward(self, values: Tensor) -> Tensor:
        return t.gradient_penalty(lambda x: (x @ self.weight.to(x)).tanh().sum(1), values, gamma=2.0)


def penalty_oracle(module: Penalized, x: np.ndarray) -> float:
    weight = numbers(module.weight)
    gradient = (1 - np.tanh(x @ weight) ** 2) @ weight.T
    return float((gradient**2).sum(1).mean())


class Past(nn.Module):
    """Historical averaging as a function of the network's current parameters."""

    def __init__(self) -> None:
        super().__init__()
        self.past = nn.Parameter(torch.zeros(3, 4, dtype=torch.float64), requires_grad=False)
        self.history = t.HistoricalAverage([self.past])
        for step in range(3):
            self.past.copy_(draw(step, 3, 4))
            self.history.update()

    def forward(self, now: Tensor) -> Tensor:
        history = t.HistoricalAverage([now])
        history.load_state_dict(self.history.state_dict())
        return history.penalty()


class Averaged(nn.Module):
    """The network with the averaged parameters."""

    def __init__(self) -> None:
        super().__init__()
        self.network = nn.Linear(4, 2)
        self.average = t.WeightEMA(self.network, 0.5)
        self.average.update()
        nn.init.ones_(self.network.weight)
        self.average.update()

    def forward(self, values: Tensor) -> Tensor:
        return self.average.averaged(self.network)(values)


class Started(nn.Module):
    """A network after data-dependent initialization on the same batch."""

    def __init__(self) -> None:
        super().__init__()
        self.network = nn.Sequential(
            t.weight_norm(nn.Linear(4, 3)), t.MinibatchDiscrimination(3, 2, 2, variant="released")
        )

    def forward(self, values: Tensor) -> Tensor:
        network = copy.deepcopy(self.network)
        t.data_dependent_init_(network, values.detach())
        return network(values)


def started_oracle(module: Started, values: np.ndarray) -> np.ndarray:
    weight, layer = numbers(module.network[0].weight), module.network[1]
    features = values @ weight.T
    features = (features - features.mean(0)) / features.std(0)
    m = minibatch.released_projection(features, numbers(layer.weight), numbers(layer.log_weight_scale))
    distance = np.abs(m[:, None] - m[None]).sum(-1) + np.where(np.eye(len(m)), np.inf, 0)[..., None]
    m = m / (0.5 * distance.min(1).mean(0))[:, None]
    similarity = minibatch.similarity(m, include_self=False)
    return np.concatenate([features, similarity - similarity.mean(0)], 1)


class WithReference(nn.Module):
    """VirtualBatchNorm by itself: the first three rows of a fixed batch are the reference."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = t.VirtualBatchNorm(2)
        self.register_buffer("reference", draw(5, 3, 2, 2, 2))

    def forward(self, values: Tensor) -> Tensor:
        self.layer.begin_reference(3)
        return self.layer(torch.cat([self.reference, values]))[3:]


def reference_batch(*, training: bool) -> t.ReferenceBatch:
    network = t.convert_virtual_batch_norm(nn.Sequential(nn.Linear(4, 3), nn.BatchNorm1d(3)))
    return t.ReferenceBatch(network, draw(5, 6, 4), rows_at_once=4).train(training)


def reference_oracle(module: t.ReferenceBatch, values: np.ndarray) -> np.ndarray:
    linear, norm = module.network
    hidden = [v @ numbers(linear.weight).T + numbers(linear.bias) for v in (values, numbers(module.reference))]
    return virtual_batch_norm(*hidden, numbers(norm.weight), numbers(norm.bias))[0]


def numbers(tensor: Tensor) -> np.ndarray:
    return tensor.detach().double().numpy()


def function(call: Call) -> Callable[[], Call]:
    return lambda: call


def double(build: Callable[[], nn.Module]) -> Callable[[], nn.Module]:
    return lambda: build().double()


def loss_of_logits(call: Call, oracle: Callable[..., Any], *, logits: int) -> Member:
    """Losses of one logit per example: of real and generated ones, or of generated ones alone."""
    return Member(
        build=function(call),
        inputs=two() if logits == 2 else rows(),
        shape=scalar,
        oracle=lambda _, *arrays: oracle(*arrays),
        wrong=(two(3)(5)[:logits], r"\(N,\).*\(5, 3\)"),
        empty=r"\(0,\)",
        learns=tuple(range(logits)),
    )


LINE = 0.1 * draw(7, 1, 4)  # probabilities far from 0 and 1: in bfloat16 those do not change at all


def direction_of_a_line(images: Tensor) -> Tensor:
    """Absolute values, for either sign will do: with two classes and one line of logits there is one direction."""
    weight = torch.cat([LINE, -LINE]).to(images)
    logits = images @ weight.T
    return spreading.virtual_adversarial_direction(lambda x: x @ weight.T, images, logits, probe=8.0).abs()


def virtual_adversarial_loss(images: Tensor, directions: Tensor) -> Tensor:
    """Of a fixed linear classifier; the directions are given, for the search for them draws numbers."""
    weight = draw(3, 3, 4).to(images)
    return spreading.virtual_adversarial_loss(lambda x: x @ weight.T, images, radius=0.5, direction=directions)


def virtual_adversarial_oracle(_: object, images: np.ndarray, directions: np.ndarray) -> float:
    weight = numbers(draw(3, 3, 4))
    return losses.divergence_of_classes(images @ weight.T, (images + 0.5 * directions) @ weight.T)


MEMBERS: dict[str, Member] = {
    "virtual_adversarial_loss": Member(
        build=function(virtual_adversarial_loss),
        inputs=two(4),
        shape=scalar,
        oracle=virtual_adversarial_oracle,
        wrong=((draw(0, 5, 3), draw(1, 5, 3)), r"5x3 and 4x3"),
        empty=r"empty batch.*\(0, 3\)",
        rounds=True,
        learns=(1,),  # in the images it is not differentiated as it is written: the clean logits are constants
        compiles="never",
        reads_values=True,
    ),
    "virtual_adversarial_direction": Member(
        build=function(direction_of_a_line),
        inputs=rows(4),
        shape=lambda n: (n, 4),
        oracle=lambda _, x: np.abs(np.ones((len(x), 1)) * numbers(LINE) / np.linalg.norm(numbers(LINE))),
        wrong=((draw(0, 5, 3),), r"5x3 and 4x2"),
        empty=r"empty batch.*\(0, 2\)",
        learns=(),
        compiles="never",
    ),
    "prediction_kl": Member(
        build=function(lambda first, second: spreading.prediction_kl(first, second)),
        inputs=two(3),
        shape=scalar,
        oracle=lambda _, x, y: losses.divergence_of_classes(x, y),
        wrong=((draw(0, 5, 3), draw(0, 5, 4)), r"\(5, 3\), \(5, 4\)"),
        empty=r"empty batch.*\(0, 3\)",
        learns=(1,),
    ),
    "conditional_entropy": Member(
        build=function(spreading.conditional_entropy),
        inputs=rows(3),
        shape=scalar,
        oracle=lambda _, x: losses.entropy(losses.probabilities(x)).mean(),
        wrong=((draw(0, 5, 3, 2),), r"\(N, K\).*\(5, 3, 2\)"),
        empty=r"empty batch.*\(0, 3\)",
    ),
    "marginal_entropy": Member(
        build=function(spreading.marginal_entropy),
        inputs=rows(3),
        shape=scalar,
        oracle=lambda _, x: losses.entropy(losses.probabilities(x).mean(0)),
        wrong=((draw(0, 5, 3, 2),), r"\(N, K\).*\(5, 3, 2\)"),
        empty=r"empty batch.*\(0, 3\)",
    ),
    "adversarial_discriminator_loss": loss_of_logits(t.adversarial_discriminator_loss, losses.discriminator, logits=2),
    "non_saturating_generator_loss": loss_of_logits(
        t.non_saturating_generator_loss, lambda g: losses.cross_entropy(g, 1), logits=1
    ),
    "minimax_generator_loss": loss_of_logits(t.minimax_generator_loss, lambda g: -losses.cross_entropy(g, 0), logits=1),
    "smoothed_discriminator_loss": loss_of_logits(
        t.smoothed_discriminator_loss,
        lambda r, g: losses.cross_entropy(r, 0.9) + losses.cross_entropy(g, 0),
        logits=2,
    ),
    "divergence_discriminator_loss": loss_of_logits(
        t.divergence_discriminator_loss, lambda r, g: losses.divergence(r, 0.75) + losses.divergence(g, 0), logits=2
    ),
    "divergence_generator_loss": loss_of_logits(
        t.divergence_generator_loss, lambda g: losses.divergence(g, 0.375), logits=1
    ),
    "hinge_discriminator_loss": loss_of_logits(t.hinge_discriminator_loss, losses.hinge, logits=2),
    "hinge_generator_loss": loss_of_logits(t.hinge_generator_loss, lambda g: -g.mean(), logits=1),
    "least_squares_discriminator_loss": loss_of_logits(
        t.least_squares_discriminator_loss, lambda r, g: losses.squares(r, 1) + losses.squares(g, 0), logits=2
    ),
    "least_squares_generator_loss": loss_of_logits(
        t.least_squares_generator_loss, lambda g: losses.squares(g, 1), logits=1
    ),
    "relativistic_discriminator_loss": loss_of_logits(t.relativistic_discriminator_loss, losses.relativistic, logits=2),
    "relativistic_generator_loss": loss_of_logits(
        t.relativistic_generator_loss, lambda r, g: losses.relativistic(g, r), logits=2
    ),
    **{
        f"{loss.__name__}-lists": Member(
            build=function(lambda r, g, loss=loss: loss([r, 2 * g], [g, r + g], reduction="sum")),
            inputs=two(),
            shape=scalar,
            oracle=lambda _, r, g, oracle=oracle: oracle(r, g) + oracle(2 * g, r + g),
            wrong=((draw(0, 5, 3), draw(0, 5, 3)), r"_logits\[0\].*\(5, 3\)"),
            empty=r"\(0,\)",
            learns=(0, 1),
        )
        for loss, oracle in (
            (t.adversarial_discriminator_loss, losses.discriminator),
            (t.hinge_discriminator_loss, losses.hinge),
            (t.relativistic_discriminator_loss, losses.relativistic),
        )
    },
    "smoothed_unsupervised_loss": Member(
        build=function(t.smoothed_unsupervised_loss),
        inputs=two(3),
        shape=scalar,
        oracle=lambda _, r, g: (
            losses.cross_entropy(np.log(np.exp(r).sum(1)), 0.9) + losses.cross_entropy(np.log(np.exp(g).sum(1)), 0)
        ),
        wrong=((draw(0, 5, 3), draw(0, 5, 4)), r"\(5, 3\), \(5, 4\)"),
        empty=r"\(0, 3\)",
        learns=(0, 1),
    ),
    "semi_supervised_losses": Member(
        build=function(lambda *inputs: torch.stack(t.semi_supervised_losses(*inputs))),
        inputs=semi_supervised_inputs,
        shape=lambda n: (2,),
        oracle=lambda _, *arrays: np.stack(losses.semi_supervised(*arrays)),
        wrong=((draw(0, 5, 3), torch.zeros(4).long(), draw(0, 5, 3), draw(0, 5, 3)), r"\(5,\).*\(4,\)"),
        empty=r"\(0, 3\)",
        learns=(0, 2, 3),
    ),
    "real_logit": Member(
        build=function(t.real_logit),
        inputs=rows(3),
        shape=lambda n: (n,),
        oracle=lambda _, x: np.log(np.exp(x).sum(1)),
        wrong=((draw(0, 5, 3, 2),), r"\(N, K\).*\(5, 3, 2\)"),
        empty=None,
    ),
    **{
        f"feature_matching_loss-{variant}": Member(
            build=function(lambda r, g, variant=variant: t.feature_matching_loss(r, g, variant=variant)),
            inputs=two(3, 2),
            shape=scalar,
            oracle=lambda _, r, g, variant=variant: losses.feature_matching(r, g, variant),
            wrong=((draw(0, 5, 3), draw(0, 5, 4)), r"\(5, 3\) and \(5, 4\)"),
            empty=r"empty batch.*\(0, 3, 2\)",
            learns=(1,),
        )
        for variant in ("paper", "released-mnist", "released-cifar10", "pairwise-l1")
    },
    **{
        f"feature_matching_loss-lists-{variant}": Member(
            build=function(lambda r, g, variant=variant: layers_matched(r, g, variant)),
            inputs=two(4, 3),
            shape=scalar,
            oracle=lambda _, r, g, variant=variant: layers_matched_oracle(r, g, variant),
            wrong=((draw(0, 5, 4, 3), draw(0, 5, 4, 2)), r"features\[0\]\[0\].*\(5, 4, 3\) and \(5, 4, 2\)"),
            empty=r"empty batch.*\(0, 4, 3\)",
            learns=(1,),
        )
        for variant in ("paper", "released-mnist", "released-cifar10", "pairwise-l1")
    },
    "MinibatchStandardDeviation": Member(
        build=t.MinibatchStandardDeviation,
        inputs=rows(4, 3),
        shape=lambda n: (n, 5, 3),
        oracle=lambda _, x: with_channel(x, minibatch.standard_deviation(x, 4, 1)),
        wrong=((draw(0, 5),), r"\(N, C, ...\).*\(5,\)"),
        empty=r"not empty; got \(0, 4, 3\)",
    ),
    "MinibatchStandardDeviation-whole-batch": Member(
        build=lambda: t.MinibatchStandardDeviation(None, num_channels=2),
        inputs=rows(4),
        shape=lambda n: (n, 6),
        oracle=lambda _, x: np.concatenate([x, minibatch.standard_deviation(x, len(x), 2)], 1),
        wrong=((draw(0, 5, 3),), r"2 dividing C; got \(5, 3\)"),
        empty=r"not empty.*got \(0, 4\)",
    ),
    "gradient_penalty": Member(
        build=double(Penalized),
        inputs=rows(4),
        shape=scalar,
        oracle=penalty_oracle,
        wrong=((draw(0, 5, 3),), r"5x3 and 4x3"),
        empty=r"not empty; got \(0, 4\)",
        rounds=True,
        compiles="never",  # torch.compile has no second derivative
    ),
    "minibatch_similarity": Member(
        build=function(t.minibatch_similarity),
        inputs=rows(3, 2),
        shape=lambda n: (n, 3),
        oracle=lambda _, x: minibatch.similarity(x),
        wrong=((draw(0, 5, 3),), r"\(N, B, C\).*\(5, 3\)"),
        empty=r"\(0, 3, 2\)",
    ),
    "minibatch_similarity-others": Member(
        build=function(t.minibatch_similarity),
        inputs=two(3, 2),
        shape=lambda n: (n, 3),
        oracle=lambda _, x, y: minibatch.similarity(x, y),
        wrong=((draw(0, 5, 3, 2), draw(0, 5, 3, 1)), r"\(5, 3, 2\) and \(5, 3, 1\)"),
        empty=r"\(0, 3, 2\)",
        learns=(0, 1),
    ),
    **{
        f"MinibatchDiscrimination-{variant}": Member(
            build=double(lambda variant=variant: t.MinibatchDiscrimination(4, 3, 2, variant=variant)),
            inputs=rows(4),
            shape=lambda n: (n, 7),
            oracle=minibatch_oracle,
            wrong=((draw(0, 5, 3),), r"\(N, 4\).*\(5, 3\)"),
            empty=r"\(0, 3, 2\)",
        )
        for variant in ("paper", "released")
    },
    **{
        f"MinibatchDiscrimination-{len(shape)}d": Member(
            build=double(lambda: t.MinibatchDiscrimination(4, 3, 2)),
            inputs=rows(4, *shape),
            shape=lambda n, shape=shape: (n, 7, *shape),
            oracle=pooled_oracle,
            wrong=((draw(0, 5, 3, *shape),), r"\(N, 4\).*\(5, 3\), pooled from \(5, 3, "),
            empty=r"\(0, 3, 2\)",
        )
        for shape in ((3,), (2, 2))
    },
    "MinibatchDiscrimination.forward_real_and_generated": Member(
        build=double(TwoSided),
        inputs=two(4),
        shape=lambda n: (n, 2, 10),
        oracle=two_sided_oracle,
        wrong=((draw(0, 5, 4), draw(0, 5, 3)), r"\(N, 4\).*\(5, 3\)"),
        empty=r"\(0, 3, 2\)",
        single="got 1 real, 1 generated",
        learns=(0, 1),
    ),
    "HistoricalAverage": Member(
        build=Past,
        inputs=lambda n: (draw(9, 3, 4),),
        shape=scalar,
        oracle=lambda _, now: ((now - np.mean([numbers(draw(step, 3, 4)) for step in range(3)], 0)) ** 2).sum(),
        wrong=((draw(0, 3, 5),), r"\[3, 4\].*\[3, 5\]"),
        empty=None,
        batched=False,
        compiles="never",
    ),
    "VirtualBatchNorm": Member(
        build=double(WithReference),
        inputs=rows(2, 2, 2),
        shape=lambda n: (n, 2, 2, 2),
        oracle=lambda m, x: virtual_batch_norm(x, numbers(m.reference), numbers(m.layer.weight), numbers(m.layer.bias))[
            0
        ],
        wrong=((draw(0, 5, 2, 2, 3),), r"2 but got size 3"),
        empty=None,
    ),
    **{
        f"ReferenceBatch-{mode}": Member(
            build=double(lambda training=mode == "training": reference_batch(training=training)),
            inputs=rows(4),
            shape=lambda n: (n, 3),
            oracle=reference_oracle,
            wrong=((draw(0, 5, 3),), r"\(N, 4,\).*\(5, 3\)"),
            empty=None,
        )
        for mode in ("training", "eval")
    },
    "GaussianNoise": Member(
        build=double(lambda: t.GaussianNoise(0.5).eval()),
        inputs=rows(4),
        shape=lambda n: (n, 4),
        oracle=lambda _, x: x,
        wrong=((), "values"),
        empty=None,
    ),
    "weight_norm": Member(
        build=double(lambda: t.weight_norm(nn.Linear(4, 2), scale=0.5)),
        inputs=rows(4),
        shape=lambda n: (n, 2),
        oracle=lambda layer, x: (
            0.5 * x @ (v := numbers(layer.parametrizations.weight.original1).T) / np.sqrt((v**2).sum(0))
            + numbers(layer.bias)
        ),
        wrong=((draw(0, 5, 3),), r"5x3 and 4x2"),
        empty=None,
    ),
    "data_dependent_init_": Member(
        build=double(Started),
        inputs=rows(4),
        shape=lambda n: (n, 5),
        oracle=started_oracle,
        wrong=((draw(0, 5, 3),), r"5x3 and 4x3"),
        empty=r"does not vary.*\(0, 3\)",
        single=r"does not vary.*\(1, 3\)",
        learns=(),
        compiles="never",
        reads_values=True,
    ),
    "WeightEMA": Member(
        build=double(Averaged),
        inputs=rows(4),
        shape=lambda n: (n, 2),
        oracle=lambda m, x: x @ numbers(m.average.average_0 / 0.75).T + numbers(m.average.average_1 / 0.75),
        wrong=((draw(0, 5, 3),), r"5x3 and 4x2"),
        empty=None,
        compiles="never",
        reads_values=True,
    ),
}
