"""Signatures in the words of the source (`ArrayLike`, `Tensor`), and links from such short names to their pages."""

import ast
import inspect
import re
import sys
import textwrap
from collections.abc import Callable
from typing import Any

from docutils import nodes
from sphinx.addnodes import pending_xref
from sphinx.application import Sphinx
from sphinx.environment import BuildEnvironment

FULL_NAMES = {
    "Tensor": "torch.Tensor",
    "Module": "torch.nn.Module",
    "Optimizer": "torch.optim.Optimizer",
    "Floats": "numpy.typing.NDArray",
    "ArrayLike": "numpy.typing.ArrayLike",
    "NDArray": "numpy.typing.NDArray",
    "Path": "pathlib.Path",
    "Any": "typing.Any",
    "Literal": "typing.Literal",
    "BaseEstimator": "sklearn.base.BaseEstimator",
    "F.": "torch.nn.functional.",
    "np.": "numpy.",
    "nn.": "torch.nn.",
    **{name: f"collections.abc.{name}" for name in ("Callable", "Iterable", "Iterator", "Mapping", "Sequence")},
}


def as_written(_: Sphinx, what: str, name: str, value: Any, *rest: Any) -> tuple[str, str | None] | None:
    """The signature as the source has it."""
    if what in ("function", "method"):
        return _of_function(value)
    if what == "class":
        own = vars(value).get("__init__")
        if own is None or not inspect.isfunction(own):
            return None
        if hasattr(value, "__dataclass_fields__"):
            return _of_dataclass(value)
        found = _of_function(own)
        return found and (found[0], None)
    return None


def _of_function(value: Any) -> tuple[str, str | None] | None:
    tree = _parse(inspect.unwrap(getattr(value, "__func__", value)))
    if not isinstance(tree, ast.FunctionDef):
        return None
    bound = bool(tree.args.args) and tree.args.args[0].arg in ("self", "cls")
    if bound:
        del tree.args.args[0]
    return f"({ast.unparse(tree.args)})", ast.unparse(tree.returns) if tree.returns else None


def _of_dataclass(value: Any) -> tuple[str, str | None] | None:
    tree = _parse(value)
    if not isinstance(tree, ast.ClassDef):
        return None
    rows = []
    for line in tree.body:
        if isinstance(line, ast.AnnAssign) and "ClassVar" not in ast.unparse(line.annotation):
            called = isinstance(line.value, ast.Call) and ast.unparse(line.value.func) == "field"
            default = "" if line.value is None else " = ..." if called else f" = {ast.unparse(line.value)}"
            rows.append(f"{ast.unparse(line.target)}: {ast.unparse(line.annotation)}{default}")
    return f"({', '.join(rows)})", None


def _parse(value: Callable[..., Any]) -> ast.stmt | None:
    try:
        return ast.parse(textwrap.dedent(inspect.getsource(value))).body[0]
    except (OSError, TypeError, SyntaxError):
        return None


def bars_as_text(_: Sphinx, what: str, name: str, value: Any, options: Any, lines: list[str]) -> None:
    """Keep |x| in prose from being read as a substitution, and the start of a property's sentence as its type."""
    if what == "property" and value.__doc__:
        lines[:] = inspect.cleandoc(value.__doc__).splitlines()
    for number, line in enumerate(lines):
        if "|" in line and ">>>" not in line:
            parts = re.split(r"(``.*?``|`.*?`)", line)
            lines[number] = "".join(part if part.startswith("`") else part.replace("|", r"\|") for part in parts)


def resolve_short_name(
    app: Sphinx, env: BuildEnvironment, node: pending_xref, content: nodes.TextElement
) -> nodes.Element | None:
    """Link a name as the source writes it to the one public object, or the other project's, that it means."""
    if node.get("refdomain") != "py":
        return None
    target = node["reftarget"]
    short = target.rsplit(".", 1)[-1]
    objects = env.domains.python_domain.objects
    ours = {full for full in objects if full.rsplit(".", 1)[-1] == short and full.startswith("improved_gan")}
    named = sorted(full for full in ours if not objects[full].aliased)
    if len(named) == 1 and (target == short or target.startswith("improved_gan")):
        found = objects[named[0]]
        address = app.builder.get_relative_uri(node["refdoc"], found.docname) + "#" + found.node_id
        return nodes.reference("", "", content, internal=True, refuri=address, reftitle=named[0])
    for prefix, full in FULL_NAMES.items():
        if target == prefix or (prefix.endswith(".") and target.startswith(prefix)):
            from sphinx.ext.intersphinx import resolve_reference_any_inventory

            node["reftarget"] = full if target == prefix else full + target[len(prefix) :]
            return resolve_reference_any_inventory(env, True, node, content)
    return content if _is_internal(short) else None


def _is_internal(name: str) -> bool:
    """Whether a module of ours defines this name for itself: an alias of types, or a class that is not public."""
    modules = [module for full, module in sys.modules.items() if full.startswith("improved_gan")]
    return any(name in vars(module) for module in modules)


def setup(app: Sphinx) -> dict[str, bool]:
    """Register the hooks."""
    app.connect("autodoc-process-signature", as_written)
    app.connect("autodoc-process-docstring", bars_as_text, priority=600)  # after napoleon
    app.connect("missing-reference", resolve_short_name)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
