"""The meaning of `precision="auto"`: bfloat16 where the processor has instructions for it, otherwise float32."""

from dataclasses import replace

import torch

from improved_gan.recipes.recipe import AUTO, Recipe

__all__ = ["fastest_precision", "resolve_precision"]

# As `torch.cpu.get_capabilities` calls them: x86 without and with tiles, ARM.
_BFLOAT16_UNITS = ("avx512_bf16", "amx_bf16", "bf16")


def fastest_precision(device: torch.device) -> str:
    """The faster precision on a device; without hardware support bfloat16 is emulated slowly.

    Args:
        device: a CPU or a GPU.

    Returns:
        "bfloat16" or "float32".
    """
    if device.type == "cuda":
        return "bfloat16" if torch.cuda.is_bf16_supported(including_emulation=False) else "float32"
    known = torch.cpu.get_capabilities()
    return "bfloat16" if any(known.get(unit, False) for unit in _BFLOAT16_UNITS) else "float32"


def resolve_precision(recipe: Recipe, device: torch.device, *, recorded: str | None = None) -> Recipe:
    """The recipe with "auto" replaced by a precision.

    Args:
        recipe: returned unchanged if its precision is not "auto".
        device: on which it will run.
        recorded: the precision of a run that is resumed; None: the faster one on the device.
    """
    if recipe.precision != AUTO:
        return recipe
    return replace(recipe, precision=recorded or fastest_precision(device))
