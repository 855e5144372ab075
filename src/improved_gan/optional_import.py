"""Import a library of an extra. A folder of that name is not the library: Python would take it for an empty package."""

import importlib
from types import ModuleType

__all__ = ["optional_import"]


def optional_import(name: str) -> ModuleType:
    """The library.

    Raises:
        ModuleNotFoundError: it is not installed; nor if only a folder of that name is found (a namespace package).
        ImportError, RuntimeError: it is installed and fails.

    >>> optional_import("json").loads("[1]")
    [1]
    """
    module = importlib.import_module(name)
    if module.__spec__ is not None and module.__spec__.origin is None:
        folder = next(iter(module.__path__), "")
        raise ModuleNotFoundError(f"{folder} is a folder, not the library {name}", name=name)
    return module
