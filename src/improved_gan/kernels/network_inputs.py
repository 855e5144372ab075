"""The inputs of a network, one or several, by position and by keyword, as one batch with rows.

A conditional generator takes latents and labels. Whatever is done to the rows of a batch (put behind a reference, taken
a block at a time) is done to all of its inputs alike.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

__all__ = ["NetworkInputs", "network_inputs"]


@dataclass(frozen=True)
class NetworkInputs:
    """Tensors (N, ...) with one N, in the order and under the names by which a network takes them."""

    positional: tuple[Tensor, ...]
    keywords: Mapping[str, Tensor]

    def call(self, network: Callable[..., Any]) -> Any:
        """What the network makes of them."""
        return network(*self.positional, **self.keywords)

    def tensors(self) -> list[Tensor]:
        """All of them, positional first."""
        return [*self.positional, *self.keywords.values()]

    def __len__(self) -> int:
        """N."""
        return len(self.tensors()[0])

    def of_rows(self, choose: Callable[[Tensor], Tensor]) -> "NetworkInputs":
        """The same function of each input."""
        return NetworkInputs(
            tuple(choose(one) for one in self.positional), {name: choose(one) for name, one in self.keywords.items()}
        )

    def then(self, others: "NetworkInputs") -> "NetworkInputs":
        """These rows and, after them, those of inputs of the same form."""
        return NetworkInputs(
            tuple(torch.cat(pair) for pair in zip(self.positional, others.positional, strict=True)),
            {name: torch.cat([one, others.keywords[name]]) for name, one in self.keywords.items()},
        )

    def block(self, first: int, num: int, fill: "NetworkInputs") -> "NetworkInputs":
        """`num` rows from `first` on; what is missing at the end are rows of `fill`, from the start and over again."""
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
        """In words, for errors; with a letter in place of the number of rows.

        >>> network_inputs(torch.zeros(5, 3, 4), {"y": torch.zeros(5).long()}).describe("N")
        '(N, 3, 4) of torch.float32, y=(N,) of torch.int64'
        """
        named = [("", one) for one in self.positional] + [(f"{name}=", one) for name, one in self.keywords.items()]
        return ", ".join(f"{name}{_shape(one, num)} of {one.dtype}" for name, one in named)


def network_inputs(
    positional: Tensor | Sequence[Tensor] | Mapping[str, Tensor], keywords: Mapping[str, Tensor] | None = None
) -> NetworkInputs:
    """One tensor, several by position, several by keyword; `keywords` are added to any of them.

    Raises:
        TypeError: what is no tensor.
        ValueError: no inputs, or numbers of rows that differ.
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
