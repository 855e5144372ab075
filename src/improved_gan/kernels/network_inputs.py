"""The inputs of a network, one or several, by position and by keyword, as one batch with rows.

A conditional generator takes latents and labels. An operation on the rows of a batch (append it to a reference batch,
take a block of rows) applies to all inputs alike.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

__all__ = ["NetworkInputs", "network_inputs"]


@dataclass(frozen=True)
class NetworkInputs:
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

    def of_rows(self, choose: Callable[[Tensor], Tensor]) -> "NetworkInputs":
        """Apply one function to each input."""
        return NetworkInputs(
            tuple(choose(one) for one in self.positional), {name: choose(one) for name, one in self.keywords.items()}
        )

    def then(self, others: "NetworkInputs") -> "NetworkInputs":
        """These rows followed by those of other inputs with the same names and shapes."""
        return NetworkInputs(
            tuple(torch.cat(pair) for pair in zip(self.positional, others.positional, strict=True)),
            {name: torch.cat([one, others.keywords[name]]) for name, one in self.keywords.items()},
        )

    def block(self, first: int, num: int, fill: "NetworkInputs") -> "NetworkInputs":
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
        """A description for error messages; `num` replaces the number of rows by a letter.

        >>> network_inputs(torch.zeros(5, 3, 4), {"y": torch.zeros(5).long()}).describe("N")
        '(N, 3, 4) of torch.float32, y=(N,) of torch.int64'
        """
        named = [("", one) for one in self.positional] + [(f"{name}=", one) for name, one in self.keywords.items()]
        return ", ".join(f"{name}{_shape(one, num)} of {one.dtype}" for name, one in named)


def network_inputs(
    positional: Tensor | Sequence[Tensor] | Mapping[str, Tensor], keywords: Mapping[str, Tensor] | None = None
) -> NetworkInputs:
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
    inputs = NetworkInputs(ordered, {**named, **(keywords or {})})
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
