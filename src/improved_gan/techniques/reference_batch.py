"""The reference batch of virtual batch normalization (paper, section 3.5), run together with the live batch.

    training     one pass of [reference, live batch]; the output of the reference's rows is dropped
    evaluation   the reference's statistics are cached, and an image does not depend on its batch

For a conditional generator with several inputs the reference has as many: latents and labels.

Use: `generator = ReferenceBatch(convert_virtual_batch_norm(generator), (reference_latents, reference_labels))`.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, Self, runtime_checkable

import torch
from torch import Tensor, nn

from improved_gan.distributed import broadcast_from_rank0

__all__ = ["ReferenceBatch"]


@runtime_checkable
class _FollowsReference(Protocol):
    """A layer that needs the number of leading reference rows: `VirtualBatchNorm`."""

    def begin_reference(self, num_rows: int, *, keep: bool = False) -> None: ...

    def end_reference(self) -> None: ...


@dataclass(frozen=True)
class _NetworkInputs:
    """Tensors (N, ...) of the same N, in the order and under the names of the network's arguments."""

    positional: tuple[Tensor, ...]
    keywords: Mapping[str, Tensor]

    def call(self, network: Callable[..., Any]) -> Any:
        """The network's output for them."""
        return network(*self.positional, **self.keywords)

    def tensors(self) -> list[Tensor]:
        """All of them, positional first."""
        return [*self.positional, *self.keywords.values()]

    def __len__(self) -> int:
        """N."""
        return len(self.tensors()[0])

    def of_rows(self, choose: Callable[[Tensor], Tensor]) -> "_NetworkInputs":
        """Apply one function to each input."""
        return _NetworkInputs(
            tuple(choose(one) for one in self.positional), {name: choose(one) for name, one in self.keywords.items()}
        )

    def then(self, others: "_NetworkInputs") -> "_NetworkInputs":
        """These rows followed by those of other inputs with the same names and shapes."""
        return _NetworkInputs(
            tuple(torch.cat(pair) for pair in zip(self.positional, others.positional, strict=True)),
            {name: torch.cat([one, others.keywords[name]]) for name, one in self.keywords.items()},
        )

    def block(self, first: int, num: int, fill: "_NetworkInputs") -> "_NetworkInputs":
        """`num` rows from `first` on; rows missing at the end are taken from `fill`, cyclically."""
        some = self.of_rows(lambda rows: rows[first : first + num])
        missing = num - len(some)
        if missing == 0:
            return some
        return some.then(fill.of_rows(lambda rows: rows[torch.arange(missing, device=rows.device) % len(rows)]))

    def kind(self) -> list[tuple[str, torch.Size, torch.dtype]]:
        """Name, shape of an example and dtype of each input, by position and then by name."""
        named = [*((str(index), one) for index, one in enumerate(self.positional)), *sorted(self.keywords.items())]
        return [(name, one.shape[1:], one.dtype) for name, one in named]

    def describe(self, num: str | None = None) -> str:
        """A description for error messages; `num` replaces the number of rows by a letter."""
        named = [("", one) for one in self.positional] + [(f"{name}=", one) for name, one in self.keywords.items()]
        return ", ".join(f"{name}{_shape(one, num)} of {one.dtype}" for name, one in named)


class ReferenceBatch(nn.Module):
    """Runs a network with virtual batch normalization together with its reference batch.

    Training: reference and live batch in one pass; gradients flow through the reference statistics. Eval mode: the
    statistics are computed at the first pass and again whenever a parameter or buffer of the network has changed, and
    the batch runs in blocks of a fixed number of rows, so that the output for one image is bit-identical in any batch.

    Args:
        network: takes one or several inputs (N, ...) and returns (N, ...), with VirtualBatchNorm layers in it, each
            used once in a pass.
        reference: input of the network, (n, ...) with n >= 2, drawn once: latents for a generator. A tuple where it
            takes several inputs (latents, labels), a dictionary where it takes them by keyword. Buffers: saved, moved
            and loaded with the network. On several ranks all take those of rank 0.
        keywords: further inputs of the reference, which the network takes by keyword.
        rows_at_once: size of the blocks in eval mode; None runs the whole batch at once, equal up to rounding.

    Raises:
        ValueError: no VirtualBatchNorm in the network, fewer than two examples or rows_at_once. When called: inputs
            that differ from the reference in number, name, shape or dtype.
        TypeError: an input, or the network's output, that is no tensor.

    Shape: (N, ...), as many inputs with the same names as the reference's -> the network's output, (N, ...).

    In a captured graph (`torch.compile`, `torch.export`, `torch.onnx.export`) the reference runs with every batch, in
    eval mode too: a graph cannot see that the weights have changed. There the output for an image is independent of its
    batch up to rounding. `improved_gan.export` writes constant statistics instead.

    Source: paper, section 3.5. A change in eval mode that PyTorch does not count (through `parameter.data`, or by a
    fused optimizer) needs `refresh()`; a change of the mode has that effect.

    >>> from improved_gan.techniques import VirtualBatchNorm
    >>> network = nn.Sequential(nn.Linear(3, 4), VirtualBatchNorm(4))
    >>> generator = ReferenceBatch(network, torch.randn(16, 3)).eval()
    >>> latents = torch.randn(8, 3)
    >>> torch.equal(generator(latents)[:1], generator(latents[:1]))
    True
    """

    reference: Tensor  # with one input; else reference_0, ..., reference_NAME

    def __init__(
        self,
        network: nn.Module,
        reference: Tensor | Sequence[Tensor] | Mapping[str, Tensor],
        *,
        keywords: Mapping[str, Tensor] | None = None,
        rows_at_once: int | None = 16,
    ) -> None:
        super().__init__()
        if not any(isinstance(layer, _FollowsReference) for layer in network.modules()):
            raise ValueError("the network has no VirtualBatchNorm: apply convert_virtual_batch_norm(network) first")
        inputs = _network_inputs(reference, keywords)
        if len(inputs) < 2:
            shapes = ", ".join(str(tuple(one.shape)) for one in inputs.tensors())
            raise ValueError(f"reference must be (n, ...) with n >= 2 examples; got {shapes}")
        if rows_at_once is not None and rows_at_once < 2:
            raise ValueError(f"rows_at_once must be at least 2 (one row is rounded differently); got {rows_at_once}")
        self.network, self.rows_at_once = network, rows_at_once
        single = len(inputs.positional) == 1 and not inputs.keywords
        self._positional = ["reference"] if single else [f"reference_{i}" for i in range(len(inputs.positional))]
        self._names = {name: f"reference_{name}" for name in inputs.keywords}
        for name, values in zip([*self._positional, *self._names.values()], inputs.tensors(), strict=True):
            self.register_buffer(name, broadcast_from_rank0(values).clone())
        self._kept_for: list[object] = []  # the state that the cached statistics were computed from

    def forward(self, *inputs: Tensor, **keywords: Tensor) -> Tensor:
        """The network's output (N, ...) for its inputs (N, ...); the reference's own output is not returned."""
        live, reference = _network_inputs(inputs, keywords), self._reference()
        if live.kind() != reference.kind():
            raise ValueError(f"inputs must match the reference, {reference.describe('N')}; got {live.describe()}")
        if self.training or torch.compiler.is_compiling():
            return self._run(reference.then(live), len(reference))[len(reference) :]
        self._refresh_if_stale()
        size = self.rows_at_once or max(1, len(live))
        outputs = [self._run(live.block(i, size, reference), 0) for i in range(0, max(1, len(live)), size)]
        return torch.cat(outputs)[: len(live)]

    @torch.inference_mode(False)
    @torch.no_grad()
    def refresh(self) -> None:
        """Compute the cached statistics now, with the network's current weights and mode."""
        reference = self._reference()
        self._run(reference, len(reference), keep=True)
        self._kept_for = self._state()

    def train(self, mode: bool = True) -> Self:
        """As any module; a change of the mode drops the cached statistics, since fused optimizers mark no changes."""
        if mode != self.training:
            self._kept_for = []
        return super().train(mode)

    def __getstate__(self) -> dict[str, Any]:
        """Without the versions that the statistics were computed from: a copy's tensors count theirs anew."""
        state: dict[str, Any] = super().__getstate__()  # type: ignore[no-untyped-call]
        return state | {"_kept_for": []}

    def _refresh_if_stale(self) -> None:
        state = self._state()
        pairs = zip(state, self._kept_for, strict=False)
        if len(state) != len(self._kept_for) or any(a is not b and (isinstance(a, Tensor) or a != b) for a, b in pairs):
            self.refresh()

    def _state(self) -> list[object]:
        """All that the statistics depend on: tensors, the version counter of each, and autocast.

        The statistics are among the buffers: another ReferenceBatch of the same network replaces them.
        """
        references = self._reference().tensors()
        tensors: list[Tensor] = [*references, *self.network.parameters(), *self.network.buffers()]
        versions: list[object] = [(None if t.is_inference() else t._version, t.dtype, t.device) for t in tensors]
        device = references[0].device.type
        autocast = torch.amp.is_autocast_available(device) and torch.is_autocast_enabled(device)
        return [*tensors, *versions, torch.get_autocast_dtype(device) if autocast else None]

    def _reference(self) -> _NetworkInputs:
        keywords = {name: self.get_buffer(buffer) for name, buffer in self._names.items()}
        return _NetworkInputs(tuple(self.get_buffer(name) for name in self._positional), keywords)

    def _run(self, inputs: _NetworkInputs, num_reference: int, *, keep: bool = False) -> Tensor:
        """A pass whose first rows are the reference; 0: with the cached statistics."""
        layers = [layer for layer in self.network.modules() if isinstance(layer, _FollowsReference)]
        for layer in layers:
            layer.begin_reference(num_reference, keep=keep)
        try:
            output = inputs.call(self.network)
        finally:
            for layer in layers:
                layer.end_reference()
        if not isinstance(output, Tensor):
            raise TypeError(f"the network must return one tensor (N, ...); got {type(output).__name__}")
        return output


def _network_inputs(
    positional: Tensor | Sequence[Tensor] | Mapping[str, Tensor], keywords: Mapping[str, Tensor] | None = None
) -> _NetworkInputs:
    """Inputs from one tensor, a sequence or a mapping; `keywords` are added to any of them.

    Raises:
        TypeError: an input is no tensor.
        ValueError: there are no inputs, or their numbers of rows differ.
    """
    named: dict[str, Tensor] = {}
    ordered: tuple[Tensor, ...] = ()
    if isinstance(positional, Mapping):
        named = dict(positional)
    else:
        ordered = (positional,) if isinstance(positional, Tensor) else tuple(positional)
    inputs = _NetworkInputs(ordered, {**named, **(keywords or {})})
    for one in inputs.tensors():
        if not isinstance(one, Tensor):
            raise TypeError(f"each input must be a tensor (N, ...), one row an example; got {type(one).__name__}")
    if not inputs.tensors() or any(one.dim() == 0 for one in inputs.tensors()):
        raise ValueError("there must be inputs (N, ...), one row an example; got none, or a scalar ()")
    if len({len(one) for one in inputs.tensors()}) > 1:
        shapes = ", ".join(str(tuple(one.shape)) for one in inputs.tensors())
        raise ValueError(f"all inputs must have the same number of rows, one an example; got {shapes}")
    return inputs


def _shape(values: Tensor, num: str | None) -> str:
    sizes = tuple(values.shape)
    if num is None:
        return str(sizes)
    return f"({num},)" if len(sizes) == 1 else f"({num}, {str(sizes[1:])[1:]}"
