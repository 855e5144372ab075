"""Pages of the API reference: one a public package, its names grouped by module, written before each build."""

import inspect
from importlib import import_module
from types import ModuleType

PACKAGES = {
    "techniques": "Techniques of the paper",
    "estimator": "Classifiers for scikit-learn",
    "embeddings": "Embeddings by pretrained networks",
    "metrics": "Metrics of samples",
    "label_spreading": "Label spreading and pseudo-labels",
    "active_learning": "Active learning",
    "theory": "Theory",
    "networks": "Networks",
    "training": "Training",
    "recipes": "Recipes",
    "data": "Data sets and images",
    "reproduction": "Reproduction of tables",
    "reports": "Reports",
    "export": "Export",
    "turing_test": "Human evaluation",
    "kernels": "Kernels",
}


def public_packages() -> list[str]:
    """Packages whose `__init__` lists public names."""
    return [name for name in PACKAGES if hasattr(import_module(f"improved_gan.{name}"), "__all__")]


def page(package: str) -> str:
    """The page of one package, as reStructuredText."""
    module = import_module(f"improved_gan.{package}")
    lines = [*_heading(PACKAGES[package], "="), _prose(module), "", f".. currentmodule:: {module.__name__}", ""]
    for owner, names in _by_module(module).items():
        if len(_by_module(module)) > 1:
            lines += _heading(_title(owner), "-")
        for name in names:
            lines += _entry(module, name)
    return "\n".join(lines) + "\n"


def _by_module(module: ModuleType) -> dict[str, list[str]]:
    """Public names of a package by the module that defines them, in the order of the modules' names."""
    groups: dict[str, list[str]] = {}
    for name in module.__all__:
        owner = getattr(getattr(module, name), "__module__", module.__name__)
        groups.setdefault(owner if owner.startswith("improved_gan") else module.__name__, []).append(name)
    return dict(sorted(groups.items()))


def _title(owner: str) -> str:
    return owner.rsplit(".", 1)[-1].replace("_", " ").capitalize()


def _prose(module: ModuleType) -> str:
    return inspect.cleandoc(module.__doc__ or "")


def _entry(module: ModuleType, name: str) -> list[str]:
    value = getattr(module, name)
    if inspect.isclass(value):
        options = ["   :members:", "   :show-inheritance:"]
        return [f".. autoclass:: {name}", *(options if not issubclass(value, BaseException) else []), ""]
    if callable(value) and hasattr(value, "__name__"):
        return [f".. autofunction:: {name}", ""]
    return [f".. py:data:: {name}", f"   :type: {type(value).__name__}", ""]


def _heading(text: str, line: str) -> list[str]:
    return [text, line * len(text), ""]
