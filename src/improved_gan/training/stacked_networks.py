"""Parameters and buffers of E models stacked as (E, ...), and networks that `torch.func.vmap` can map over them.

The invariant of this module: each model's own tensor (parameter, buffer, Adam moment, average) is a view of its slice
of the stacked tensor. One update of the stack updates all models, and a model can be evaluated or saved at any time.
"""

import copy
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.utils import parametrize
from torch.nn.utils.parametrizations import _WeightNorm

from improved_gan.techniques import WeightEMA

__all__ = ["StackedNetwork", "TensorDict", "stacked_ema", "vmappable"]

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
