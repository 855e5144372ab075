"""Errors of export; the message gives the reason and the remedy."""

__all__ = ["ExportError", "needs_extra"]


class ExportError(ValueError):
    """The network cannot be exported, the file name is invalid, or a package is not installed."""


def needs_extra(error: ModuleNotFoundError) -> ExportError:
    """The error for a missing package.

    >>> str(needs_extra(ModuleNotFoundError(name="onnx")))
    "onnx is not installed: pip install 'improved-gan[export]', or take --format torch"
    """
    name = error.name or "onnx"
    return ExportError(f"{name} is not installed: pip install 'improved-gan[export]', or take --format torch")
