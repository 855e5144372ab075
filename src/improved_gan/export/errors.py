"""A network that cannot be exported; the message says why and what to do."""

__all__ = ["ExportError", "needs_extra"]


class ExportError(ValueError):
    """Something that does not fit: the network, the file's name, or a package that is not installed."""


def needs_extra(error: ModuleNotFoundError) -> ExportError:
    """The one line for a missing package.

    >>> str(needs_extra(ModuleNotFoundError(name="onnx")))
    "onnx is not installed: pip install 'improved-gan[export]', or take --format torch"
    """
    name = error.name or "onnx"
    return ExportError(f"{name} is not installed: pip install 'improved-gan[export]', or take --format torch")
