"""The house rules that a machine can check: who imports whom, a test for each module, small files and functions."""

import ast
import functools
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

TESTS = Path(__file__).parent
SOURCE = TESTS.parent / "src" / "improved_gan"
MODULES = sorted(path for path in SOURCE.rglob("*.py") if path.name not in ("__init__.py", "__main__.py"))

BOTTOM = {"io", "console", "optional_import"}  # what every room may import but these
APART = {"techniques", "kernels", "networks", "distributed", "modes", "theory", "turing_test", *BOTTOM}

# room -> what it may import of ours ("" is the package itself, for the version)
ARROWS = {
    "io": set(),
    "console": set(),
    "optional_import": set(),
    "techniques": {"distributed", "kernels", "modes"},
    "kernels": set(),
    "data": set(),
    "turing_test": set(),
    "distributed": set(),
    "modes": set(),
    "networks": {"techniques", "kernels", "distributed"},
    "theory": {"techniques"},
    "metrics": {"data", "distributed", "modes"},
    "label_spreading": {"techniques", "networks", "training", "data", "kernels", "distributed", "modes"},
    "embeddings": {"metrics", "runs", "training", "data", "distributed", "modes"},
    "active_learning": {"runs", "training", "data", "techniques", "metrics"},
    "export": {"estimator", "metrics", "runs", "recipes", "training", "techniques", "networks"},
    "training": {"techniques", "networks.interface", "distributed", "kernels", "modes"},
    "recipes": {"label_spreading", "training", "networks", "data", "techniques", "distributed", "modes"},
    "runs": {
        "recipes",
        "label_spreading",
        "kernels",
        "training",
        "networks",
        "data",
        "techniques",
        "distributed",
        "modes",
    },
    "reproduction": {"runs", "recipes", "training", "data"},
    "reports": {"runs", "reproduction", "recipes", "training", "networks", "data", "techniques", "metrics", "modes"},
    "estimator": {
        "metrics",
        "label_spreading",
        "runs",
        "recipes",
        "training",
        "networks",
        "data",
        "techniques",
        "kernels",
        "distributed",
        "modes",
    },
    "cli": {
        "estimator",
        "reports",
        "runs",
        "distributed",
        "kernels",
        "reproduction",
        "recipes",
        "training",
        "networks",
        "data",
        "techniques",
        "metrics",
        "embeddings",
        "active_learning",
        "export",
        "theory",
        "turing_test",
    },
}


@functools.cache
def nodes(path: Path) -> list[ast.AST]:
    return list(ast.walk(ast.parse(path.read_text())))


def imports_of_ours(path: Path) -> set[str]:
    """The modules of improved_gan that a file names in its import statements, anywhere in it."""
    names = set()
    for node in nodes(path):
        if isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            names |= {f"{node.module}.{alias.name}" for alias in node.names}
        elif isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
    return {name.removeprefix("improved_gan.") for name in names if name.startswith("improved_gan.")}


def quick_imports_of_ours(path: Path) -> set[str]:
    """As `imports_of_ours`, of the text: to parse the files of all tests takes seconds."""
    found = re.findall(r"^ *from improved_gan\.?([\w.]*) import (?:\(([^)]*)\)|(.*))", path.read_text(), re.MULTILINE)
    named = {f"{module}.{name}" for module, *names in found for name in re.findall(r"\w+", " ".join(names))}
    return {name.removeprefix(".") for name in named}


def test_imports_follow_the_arrows() -> None:
    assert list(forbidden_imports()) == []


def forbidden_imports() -> Iterator[str]:
    for path in MODULES:
        room = path.relative_to(SOURCE).parts[0].removesuffix(".py")
        allowed = ARROWS[room] | {"__version__"} | ({room} if room not in ("techniques",) else set())
        allowed |= set() if room in APART else BOTTOM
        for name in imports_of_ours(path):
            if not any(name == target or name.startswith(f"{target}.") for target in allowed):
                yield f"{path.relative_to(SOURCE)} imports improved_gan.{name}; {room} may import {sorted(allowed)}"


def test_no_two_modules_import_each_other_in_a_circle() -> None:
    """Imports inside functions count; the package itself, which everyone asks for the version, does not."""
    paths = {".".join(path.relative_to(SOURCE).with_suffix("").parts): path for path in SOURCE.rglob("*.py")}
    paths = {name.removesuffix(".__init__"): path for name, path in paths.items() if name != "__init__"}
    imports = {name: {_module_of(one, paths) for one in imports_of_ours(path)} for name, path in paths.items()}
    while leaves := [name for name, targets in imports.items() if not targets & imports.keys() - {name}]:
        for name in leaves:
            del imports[name]
    assert not imports, f"these modules import each other, or what imports each other: {sorted(imports)}"


def _module_of(name: str, paths: dict[str, Path]) -> str:
    """`data.batches` for `data.batches.Batches`."""
    return name if name in paths else name.rpartition(".")[0]


# module -> the test that covers it, where neither the test of its name nor another of its package imports it
COVERED_BY = {
    "embeddings/backbone.py": "cli/test_train_embeddings.py",
    "recipes/embeddings.py": "cli/test_train_embeddings.py",
    "metrics/errors.py": "metrics/test_evaluation.py",
}


def test_each_module_has_its_test() -> None:
    """The test of its name, or another of its package that imports it: small modules are tested where they are used."""
    imported = {test: quick_imports_of_ours(test) for test in TESTS.rglob("test_*.py")}
    for path in MODULES:
        name = path.relative_to(SOURCE)
        own, dotted = TESTS / name.parent / f"test_{name.name}", ".".join(name.with_suffix("").parts)
        used = any(
            one == dotted or one.startswith(f"{dotted}.")
            for test, names in imported.items()
            if test.is_relative_to(TESTS / name.parts[0])
            for one in names
        )
        named = COVERED_BY.get(name.as_posix())
        assert own.is_file() or used or (named and (TESTS / named).is_file()), (
            f"{name} has no test: write {own.relative_to(TESTS)}, import it in a test of its package, or name its test "
            "in COVERED_BY"
        )
    assert COVERED_BY.keys() <= {path.relative_to(SOURCE).as_posix() for path in MODULES}


def test_files_and_functions_stay_small() -> None:
    for path in MODULES:
        assert path.read_text().count("\n") <= 350, path
        for node in nodes(path):
            if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
                assert node.end_lineno is not None
                lines = node.end_lineno - node.lineno + 1
                assert lines <= 60, f"{path}: {node.name} is {lines} lines"


def test_text_files_name_their_encoding() -> None:
    """Without it Windows reads and writes them in a code page of its own."""
    for path in MODULES:
        for node in nodes(path):
            called = node.func.attr if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) else ""
            if called in ("read_text", "write_text"):
                assert "encoding" in {keyword.arg for keyword in node.keywords}, f"{path}:{node.lineno}"


@pytest.mark.parametrize("path", sorted((SOURCE / "techniques").glob("*.py")), ids=lambda path: path.name)
def test_techniques_import_torch_only(path: Path) -> None:
    for node in nodes(path):
        if isinstance(node, ast.Import):
            modules = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            modules = [node.module or ""]
        else:
            continue
        for module in modules:
            assert module.split(".")[0] in {
                "torch", "improved_gan", "collections", "contextlib", "copy", "dataclasses", "functools", "itertools",
                "math", "typing",
            }  # fmt: skip
