"""References to tensors of a module elsewhere, for averages of its parameters.

`copy.deepcopy` of the average and the module together gives an average of the copied module; a copy of the average
alone belongs to the same module as before.
"""

from collections.abc import Sequence
from typing import Any

from torch import Tensor

__all__ = ["FollowedTensors"]


class FollowedTensors:
    """A list of tensors that the module which holds it does not register as its own.

    `copy.deepcopy` calls `__deepcopy__` with the memo of the whole copy, which has the tensors' copies only once their
    module was reached. So a copy keeps the memo and looks at its first use.

    >>> import copy
    >>> import torch
    >>> weight = torch.ones(2)
    >>> alone, together = copy.deepcopy(FollowedTensors([weight])), copy.deepcopy((FollowedTensors([weight]), weight))
    >>> alone.tensors()[0] is weight, together[0].tensors()[0] is together[1]
    (True, True)
    """

    def __init__(self, tensors: Sequence[Tensor], memo: dict[int, Any] | None = None) -> None:
        self._tensors, self._memo = list(tensors), memo

    def tensors(self) -> list[Tensor]:
        """The tensors, or their copies where they were copied together with this object."""
        if self._memo is not None:
            self._tensors = [self._memo.get(id(one), one) for one in self._tensors]
            self._memo = None
        return self._tensors

    def __deepcopy__(self, memo: dict[int, Any]) -> "FollowedTensors":
        return FollowedTensors(self.tensors(), memo)

    def __reduce__(self) -> tuple[Any, ...]:
        return FollowedTensors, (self.tensors(),)
