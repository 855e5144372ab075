"""Compare an exported file with the original network: on images and noise, in batches of several sizes."""

from collections.abc import Callable

import torch
from torch import Tensor

from improved_gan.export.errors import ExportError
from improved_gan.export.export_module import ExportSpec

__all__ = ["BATCHES", "TOLERANCE", "largest_differences"]

TOLERANCE = 1e-5  # relative to max(1, largest absolute output)
BATCHES = (1, 2, 7, 64)


def largest_differences(spec: ExportSpec, run_file: Callable[[Tensor], tuple[Tensor, ...]]) -> dict[str, float]:
    """The largest difference between the file and the original network, for each output.

    Args:
        spec: the exported network.
        run_file: computes the file's outputs for rows of input.

    Raises:
        ExportError: a difference above 1e-5 (relative to the largest output, if that is above 1), or another shape.
    """
    found = {facts.name: 0.0 for facts in spec.outputs}
    for num in BATCHES:
        rows = spec.draw(num)
        for facts, ours, theirs in zip(spec.outputs, spec.expected(rows), run_file(rows), strict=True):
            if ours.shape != theirs.shape:
                raise ExportError(f"{facts.name} of {num} rows came as {tuple(theirs.shape)}, not {tuple(ours.shape)}")
            scale = max(1.0, ours.abs().max().item())
            difference = (ours.double() - theirs.double()).abs().max().item() / scale
            found[facts.name] = max(found[facts.name], difference if torch.isfinite(theirs).all() else float("inf"))
    if bad := {name: value for name, value in found.items() if not value <= TOLERANCE}:
        listed = ", ".join(f"{name} by {value:.1e}" for name, value in bad.items())
        raise ExportError(
            f"the outputs of the file differ from the network's ({listed}; tolerance {TOLERANCE:.0e}): not written"
        )
    return found
