"""The meaning of `precision="auto"`: bfloat16 where products of matrices are faster in it, otherwise float32."""

from dataclasses import replace

import torch

from improved_gan.recipes.recipe import AUTO, Recipe

__all__ = ["fastest_precision", "resolve_precision"]

# As `torch.cpu.get_capabilities` calls them: x86 with tiles, ARM, AMD from Zen 4 on.
_TILES, _ARM, _VECTORS = "amx_bf16", "bf16", "avx512_bf16"


def fastest_precision(device: torch.device) -> str:
    """The faster precision on a device; without hardware support bfloat16 is emulated slowly.

    Instructions alone do not make it faster: Intel's processors with vector instructions for bfloat16, but without
    tiles (or where a virtual machine hides them, or the system does not permit them), multiply matrices in it at half
    the rate of float32 (docs/performance.md). Without oneDNN, as in PyTorch for macOS, no instructions are used.

    Args:
        device: a CPU or a GPU.

    Returns:
        "bfloat16" or "float32".
    """
    if device.type == "cuda":
        return "bfloat16" if torch.cuda.is_bf16_supported(including_emulation=False) else "float32"
    known = torch.cpu.get_capabilities()
    vectors = known.get(_VECTORS, False) and not str(known.get("cpu_name", "")).startswith("Intel")
    faster = (known.get(_TILES, False) and _tiles_permitted()) or known.get(_ARM, False) or vectors
    onednn: bool = torch.backends.mkldnn.is_available()  # type: ignore[no-untyped-call]
    return "bfloat16" if faster and onednn else "float32"


def _tiles_permitted() -> bool:
    """Whether the system lets this process use tiles; it asks for the permission, as oneDNN would.

    Linux grants it from 5.16 on, unless `arch_prctl` is blocked; the processor's capabilities do not show that.
    """
    asked = getattr(torch.cpu, "_init_amx", None)  # private; where it is missing, the capabilities decide
    return asked is None or bool(asked())


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
