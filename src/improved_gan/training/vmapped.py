"""Several models of one recipe in one step: their parameters are stacked, and the step is vmapped over them.

With small networks a GPU spends most of its time on launching operations; under `torch.func.vmap` one launch serves all
models. The models are independent: each has its own weights, moments, averages, batches and noise. As no loss depends
on another model's parameters, the gradient of the sum of all losses is each model's own gradient.

Parameters and buffers of E models are stacked as (E, ...). The invariant: while a `VmappedTraining` exists, each
model's own tensor (parameter, buffer, Adam moment, average) is a view of its slice of the stacked tensor. One update of
the stack updates all models, and a model can be evaluated or saved at any time; `unstack` writes its counters and sums.
"""

import copy
import time
from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.func import functional_call, vmap
from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.utils import parametrize
from torch.nn.utils.parametrizations import _WeightNorm

from improved_gan.distributed import world_size
from improved_gan.kernels.vmap_fallback import use_reference_ops
from improved_gan.techniques.minibatch_discrimination import MinibatchDiscrimination
from improved_gan.techniques.minibatch_standard_deviation import MinibatchStandardDeviation
from improved_gan.techniques.reference_batch import ReferenceBatch
from improved_gan.techniques.weight_ema import WeightEMA
from improved_gan.training.objectives import Objective, SemiSupervised, SupervisedBaseline, TrainingBatch
from improved_gan.training.state import TrainingState
from improved_gan.training.step import autocast

__all__ = [
    "StackedNetwork",
    "TensorDict",
    "VmappedTraining",
    "not_vmappable_reasons",
    "stacked_ema",
    "vmap_incompatibility",
    "vmappable",
]


TensorDict = dict[str, Tensor]


class StackedNetwork:
    """All models' generators, or discriminators: name -> (E, ...); cf. `torch.func.stack_module_state`."""

    optimizer: torch.optim.Adam

    def __init__(self, kind: str, networks: Sequence[nn.Module]) -> None:
        self.kind = kind
        parameters = _stack([dict(network.named_parameters()) for network in networks])
        trained = {name: one.requires_grad for name, one in networks[0].named_parameters()}
        self.parameters = {f"{kind}.{name}": value.requires_grad_(trained[name]) for name, value in parameters.items()}
        buffers = _stack([dict(network.named_buffers()) for network in networks])
        self.buffers = {f"{kind}.{name}": value for name, value in buffers.items()}
        self._stacked = dict(zip(map(id, networks[0].parameters()), self.parameters.values(), strict=True))

    def trainable(self) -> list[Tensor]:
        """The parameters with gradient, in the order of the network."""
        return [value for value in self.parameters.values() if value.requires_grad]

    def stack_optimizers(self, optimizers: Sequence[torch.optim.Optimizer]) -> None:
        """One Adam over all models, with the moments of their own ones.

        Adam works per element, so one step of the stack equals each model's own step. The step count is shared.
        """
        first = optimizers[0]
        assert isinstance(first, torch.optim.Adam)
        groups = [
            {**group, "params": [self._stacked[id(one)] for one in group["params"]]} for group in first.param_groups
        ]
        self.optimizer = torch.optim.Adam(groups, **first.defaults)
        for copies in zip(*map(_optimized, optimizers), strict=True):  # one parameter in each of the models
            moments = [_moments(optimizer, one) for optimizer, one in zip(optimizers, copies, strict=True)]
            stacked = _stack([{name: one[name] for name in ("exp_avg", "exp_avg_sq")} for one in moments])
            self.optimizer.state[self._stacked[id(copies[0])]] = {"step": moments[0]["step"].clone(), **stacked}

    def unstack(self, optimizer: torch.optim.Optimizer) -> None:
        """Write the step count, which is no view, to one model's optimizer."""
        for own, stacked in zip(_optimized(optimizer), _optimized(self.optimizer), strict=True):
            optimizer.state[own]["step"].copy_(self.optimizer.state[stacked]["step"])


class _Normalized(nn.Module):
    """The weight g v/||v|| in basic operations; vmap would run PyTorch's fused one once per model."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.dim = dim

    def forward(self, g: Tensor, v: Tensor) -> Tensor:
        others = [axis for axis in range(v.dim()) if axis != self.dim]
        return v * (g / v.square().sum(others, keepdim=True).sqrt())


def vmappable(network: nn.Module) -> Any:
    """A copy for `functional_call` under vmap: its operations are replaced by ones that vmap batches."""
    result = copy.deepcopy(network)
    for module in result.modules():
        if isinstance(module, parametrize.ParametrizationList) and isinstance(module[0], _WeightNorm):
            module[0] = _Normalized(module[0].dim)
        if isinstance(module, _BatchNorm):
            module.register_forward_pre_hook(_to_statistics)
    return result


def _to_statistics(norm: _BatchNorm, inputs: tuple[Tensor]) -> tuple[Tensor]:
    """Under vmap batch norm takes no mixed dtypes."""
    running = norm.running_mean
    return inputs if running is None else (inputs[0].to(torch.promote_types(inputs[0].dtype, running.dtype)),)


def _stack(models: Sequence[TensorDict]) -> TensorDict:
    """(E, ...) tensors of all models; the models' own tensors become views of them."""
    stacked = {name: torch.stack([model[name].detach() for model in models]) for name in models[0]}
    for name, values in stacked.items():
        for model, value in zip(models, values, strict=True):
            model[name].data = value
    return stacked


def stacked_ema(averages: Sequence[WeightEMA], network: StackedNetwork) -> WeightEMA:
    """One average over the stack, with the values of the models' own averages, which become views."""
    first = averages[0]
    parameters = nn.ParameterList(network.trainable())  # the same tensors, no copies
    result = WeightEMA(parameters, first.decay, variant=first.variant, every=first.every).to(first.num_updates.device)
    shared = ["num_updates", *(["remaining"] if callable(first.decay) else [])]
    names = [name for name, _ in first.named_buffers() if name not in shared]
    stacked = _stack([{name: average.get_buffer(name) for name in names} for average in averages])
    for name, values in stacked.items():
        result.get_buffer(name).data = values
    for name in shared:
        result.get_buffer(name).copy_(first.get_buffer(name))
    return result


def _moments(optimizer: torch.optim.Optimizer, parameter: Tensor) -> TensorDict:
    """Adam's state of one parameter, created as Adam would if there was no step yet."""
    state: TensorDict = optimizer.state[parameter]
    if not state:
        on_device = parameter.device if optimizer.defaults["fused"] or optimizer.defaults["capturable"] else "cpu"
        state["step"] = torch.zeros((), dtype=torch.float32, device=on_device)
        state["exp_avg"], state["exp_avg_sq"] = torch.zeros_like(parameter), torch.zeros_like(parameter)
    return state


def _optimized(optimizer: torch.optim.Optimizer) -> list[Tensor]:
    return [parameter for group in optimizer.param_groups for parameter in group["params"]]


def not_vmappable_reasons(
    networks: Sequence[nn.Module], objective: Objective, *, micro_batch: int, generator_has_ema: bool, historical: bool
) -> str:
    """In a few words, why training cannot be vmapped over models; empty if it can.

    Args:
        networks: generator and discriminator.
        objective: their losses.
        micro_batch: rows of a forward pass; 0 for all.
        generator_has_ema: whether the generator's weights are averaged.
        historical: whether the objective has historical averaging.
    """
    reasons = {
        "several processes divide a batch": world_size() > 1,
        "the objective is not known to work under vmap": type(objective) not in (SemiSupervised, SupervisedBaseline),
        "micro-batches": micro_batch > 0,
        "the generator's weights are averaged": generator_has_ema,
        "historical averaging": historical,
        "the network compares rows of a batch": any(map(_compares_rows, networks)),
    }
    return ", ".join(words for words, holds in reasons.items() if holds)


def vmap_incompatibility(states: Sequence[TrainingState], objective: Objective, *, micro_batch: int = 0) -> str:
    """In a few words, why these models cannot be trained in one vmapped step; empty if they can."""
    first = states[0]
    if first.generator is None:
        return "they train no GAN"
    reason = not_vmappable_reasons(
        (first.generator, first.discriminator),
        objective,
        micro_batch=micro_batch,
        generator_has_ema=first.generator_ema is not None,
        historical=first.parameter_averages is not None,
    )
    kinds = {
        "they are at different steps": len({_steps(state) for state in states}) > 1,
        "their parameters have different shapes": len({_shapes(state) for state in states}) > 1,
    }
    return ", ".join([reason] * bool(reason) + [words for words, holds in kinds.items() if holds])


class VmappedTraining:
    """Models that are trained in common steps.

    Args:
        states: of the models, at the same step; their tensors become views of this object's memory.
        objective: the losses, the same for each model.
        precision: of the forward passes, float32 or bfloat16.
        micro_batch: rows of a forward pass; must be 0, for all.

    Raises:
        ValueError: the models cannot be trained in one vmapped step (`vmap_incompatibility`).
    """

    def __init__(
        self,
        states: Sequence[TrainingState],
        objective: Objective,
        precision: torch.dtype = torch.float32,
        *,
        micro_batch: int = 0,
    ) -> None:
        if reason := vmap_incompatibility(states, objective, micro_batch=micro_batch):
            raise ValueError(f"these models cannot be trained in one vmapped step: {reason}")
        self.states, self._precision = list(states), precision
        first = states[0]
        self._device = next(first.discriminator.parameters()).device
        self._terms = {kind: _TermsModule(first, objective, kind) for kind in ("discriminator", "generator")}
        self._discriminator = StackedNetwork("discriminator", [state.discriminator for state in states])
        self._generator = StackedNetwork("generator", [state.generator for state in states if state.generator])
        self._discriminator.stack_optimizers([state.optimizers.discriminator for state in states])
        self._generator.stack_optimizers([one for state in states if (one := state.optimizers.generator)])
        self._average = stacked_ema([state.average for state in states], self._discriminator)
        self._totals: TensorDict = {}
        self._num_steps, self._seconds = 0, 0.0

    @property
    def step_number(self) -> int:
        """The number of steps of each model so far."""
        return self.states[0].step + self._num_steps

    def set_lr(self, lr: float) -> None:
        """Set the learning rate of the next steps, times each group's `lr_scale`."""
        for network in (self._discriminator, self._generator):
            for group in network.optimizer.param_groups:
                group["lr"] = lr * group.get("lr_scale", 1.0)

    def step(self, batches: Sequence[TrainingBatch], *, generator_updates: int = 1) -> None:
        """One step of every model, each with its batch, equal to `train_step` for each."""
        started = time.perf_counter()
        batch = {name: torch.stack(values) for name, values in _parts(batches).items()}
        terms = self._update(self._discriminator, self._generator, batch)
        updates = [self._update(self._generator, self._discriminator, batch) for _ in range(generator_updates)]
        terms |= {name: torch.stack([one[name] for one in updates]).mean(0) for name in updates[0]}
        self._average.update()
        for name, values in terms.items():
            self._totals[name] = self._totals[name] + values if name in self._totals else values.double()
        self._num_steps += 1
        self._seconds += time.perf_counter() - started

    def unstack(self) -> None:
        """Write step counts and sums to each state; each gets an equal fraction of the time."""
        for index, state in enumerate(self.states):
            state.step += self._num_steps
            state.num_accumulated += self._num_steps
            state.seconds += self._seconds / len(self.states)
            for name, totals in self._totals.items():
                state.totals[name] = state.totals.get(name, 0.0) + totals[index]
            state.average.num_updates += self._num_steps
            self._discriminator.unstack(state.optimizers.discriminator)
            if state.optimizers.generator is not None:
                self._generator.unstack(state.optimizers.generator)
        self._totals, self._num_steps, self._seconds = {}, 0, 0.0

    def _update(self, updated: "StackedNetwork", other: "StackedNetwork", batch: TensorDict) -> TensorDict:
        """Update one of the networks of every model; returns its losses and monitors by name, (E,) each."""
        module = self._terms[updated.kind]
        # Both networks are arguments of the vmapped function; only the updated one has gradients.
        parameters = updated.parameters | {name: value.detach() for name, value in other.parameters.items()}

        def of_one(parameters: TensorDict, buffers: TensorDict, batch: TensorDict) -> tuple[TensorDict, TensorDict]:
            result: tuple[TensorDict, TensorDict] = functional_call(module, (parameters, buffers), (batch,))
            return result

        # parameters, buffers and batch are (E, ...), so each loss is (E,); randomness "different": own noise per model.
        buffers = updated.buffers | other.buffers
        with use_reference_ops(), autocast(self._device, self._precision):
            losses, monitors = vmap(of_one, randomness="different")(parameters, buffers, batch)
        if losses:
            updated.optimizer.zero_grad()
            torch.stack(list(losses.values())).sum().backward()  # type: ignore[no-untyped-call]
            updated.optimizer.step()
        return {f"{updated.kind}/{name}": value.detach() for name, value in (losses | monitors).items()}


class _Batch(NamedTuple):
    """One model's slice of the stacked batches."""

    labeled_images: Tensor
    labels: Tensor
    unlabeled_images: Tensor
    matching_images: Tensor
    pseudo_labeled_images: Tensor | None = None
    pseudo_labels: Tensor | None = None
    label_weights: Tensor | None = None

    @property
    def augment(self) -> None:
        """None: labeled images are augmented already, and no objective that vmap supports augments others."""


class _TermsModule(nn.Module):
    """One network's losses as the output of a module with both networks: `functional_call` swaps in parameters."""

    def __init__(self, state: TrainingState, objective: Objective, kind: str) -> None:
        super().__init__()
        assert state.generator is not None
        self.generator, self.discriminator = vmappable(state.generator), vmappable(state.discriminator)
        self.terms = objective.generator_terms if kind == "generator" else objective.discriminator_terms

    def forward(self, batch: TensorDict) -> tuple[TensorDict, TensorDict]:
        terms = self.terms(self.generator, self.discriminator, _Batch(**batch))
        return terms.losses, terms.monitors


def _compares_rows(network: nn.Module) -> bool:
    compares = MinibatchDiscrimination, MinibatchStandardDeviation, ReferenceBatch
    return any(isinstance(module, compares) for module in network.modules())


def _steps(state: TrainingState) -> tuple[int, ...]:
    """The step counts of the run, of its average, and of each network's Adam, which must agree."""
    optimizers = [one for one in (state.optimizers.discriminator, state.optimizers.generator) if one is not None]
    adam = [int(max((one["step"] for one in optimizer.state.values()), default=0)) for optimizer in optimizers]
    return (state.step, int(state.average.num_updates), *adam)


def _shapes(state: TrainingState) -> tuple[Any, ...]:
    assert state.generator is not None
    both = (*state.generator.state_dict().items(), *state.discriminator.state_dict().items())
    return tuple((name, tuple(value.shape)) for name, value in both)


def _parts(batches: Sequence[TrainingBatch]) -> dict[str, list[Tensor]]:
    """The fields that the batches have, by name."""
    parts = {name: [getattr(batch, name) for batch in batches] for name in _Batch._fields}
    return {name: values for name, values in parts.items() if values[0] is not None}
