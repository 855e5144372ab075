"""What `precision="auto"` means on a machine: bfloat16 where the processor multiplies in it, else float32."""

from dataclasses import replace

import torch

from improved_gan.recipes.recipe import AUTO, Recipe

__all__ = ["fastest_precision", "resolve_precision"]

# As `torch.cpu.get_capabilities` calls them: x86 without and with tiles, ARM.
_BFLOAT16_UNITS = ("avx512_bf16", "amx_bf16", "bf16")


def fastest_precision(device: torch.device) -> str:
    """The precision whose products are the faster ones on a device; without units for bfloat16 it is emulated slowly.

    Args:
        device: a CPU or a GPU.

    Returns:
        "bfloat16" or "float32".
    """
    if device.type == "cuda":
        return "bfloat16" if torch.cuda.is_bf16_supported(including_emulation=False) else "float32"
    known = torch.cpu.get_capabilities()
    return "bfloat16" if any(known.get(unit, False) for unit in _BFLOAT16_UNITS) else "float32"


def resolve_precision(recipe: Recipe, device: torch.device, *, begun: str | None = None) -> Recipe:
    """The recipe with a precision that is decided.

    Args:
        recipe: as it is where it has decided itself.
        device: that it will run on.
        begun: the precision of a run that is to go on; None decides by the device.
    """
    if recipe.precision != AUTO:
        return recipe
    return replace(recipe, precision=begun or fastest_precision(device))
