"""An exported file against our own network: on images and noise, in batches of several sizes."""

from collections.abc import Callable

import torch
from torch import Tensor

from improved_gan.export.errors import ExportError
from improved_gan.export.export_module import ExportSpec

__all__ = ["BATCHES", "TOLERANCE", "largest_differences"]

TOLERANCE = 1e-5  # of the largest absolute output, at least of 1
BATCHES = (1, 2, 7, 64)


def largest_differences(portable: ExportSpec, answer: Callable[[Tensor], tuple[Tensor, ...]]) -> dict[str, float]:
    """The largest difference between the file and our own, unfolded network, for each output.

    Args:
        portable: what the file was made from.
        answer: what the file says of rows.

    Raises:
        ExportError: a difference above 1e-5 (of the largest output, where that is above 1), or another shape.
    """
    found = {facts.name: 0.0 for facts in portable.outputs}
    for num in BATCHES:
        rows = portable.draw(num)
        for facts, ours, theirs in zip(portable.outputs, portable.expected(rows), answer(rows), strict=True):
            if ours.shape != theirs.shape:
                raise ExportError(f"{facts.name} of {num} rows came as {tuple(theirs.shape)}, not {tuple(ours.shape)}")
            scale = max(1.0, ours.abs().max().item())
            difference = (ours.double() - theirs.double()).abs().max().item() / scale
            found[facts.name] = max(found[facts.name], difference if torch.isfinite(theirs).all() else float("inf"))
    if bad := {name: value for name, value in found.items() if not value <= TOLERANCE}:
        listed = ", ".join(f"{name} by {value:.1e}" for name, value in bad.items())
        raise ExportError(
            f"the file does not give what the network gives ({listed}; allowed {TOLERANCE:.0e}): not kept"
        )
    return found
