"""The package itself: its public names, and a fast import."""

import importlib
import inspect
import subprocess
import sys

import improved_gan


def test_dir_names_the_packages_and_each_can_be_imported() -> None:
    names = [name for name in dir(improved_gan) if not name.startswith("_")]
    assert {"SemiSupervisedGANClassifier", "techniques", "networks", "training", "estimator"} <= set(names)
    for name in names:
        assert getattr(improved_gan, name).__name__.rpartition(".")[2] == name


def test_the_import_is_fast() -> None:
    program = (
        "import sys, improved_gan; dir(improved_gan); "
        "sys.exit(bool({'torch', 'numpy', 'sklearn', 'rich', 'click'} & set(sys.modules)))"  # a second in all
    )
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0
    program = "import improved_gan; improved_gan.techniques.feature_matching_loss; improved_gan.nothing"
    done = subprocess.run([sys.executable, "-c", program], check=False, capture_output=True, text=True)
    assert "module 'improved_gan' has no attribute 'nothing'" in done.stderr


def test_public_functions_take_paths_as_text_too() -> None:
    wanted = set()
    for package in dir(improved_gan):
        module = importlib.import_module(f"improved_gan.{package}") if package[0].islower() else improved_gan
        for name in getattr(module, "__all__", ()):
            value = getattr(module, name)
            called = getattr(value, "__init__", None) if inspect.isclass(value) else value
            for parameter in inspect.signature(called).parameters.values() if inspect.isfunction(called) else ():
                kind = str(parameter.annotation)
                if "Path" in kind and "Callable" not in kind and "str" not in kind:
                    wanted.add(f"{name}({parameter.name})")
    assert wanted == {"Embedding(cache)", "Embedding(weights)", "Demo(files)"}
