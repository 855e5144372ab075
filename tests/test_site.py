"""The documentation site: what a build does not notice by itself."""

import importlib.util
from pathlib import Path
from types import ModuleType

import pytest

import improved_gan

EXTENSIONS = Path(__file__).parent.parent / "docs" / "_ext"


def extension(name: str) -> ModuleType:
    """A module of docs/_ext."""
    spec = importlib.util.spec_from_file_location(f"docs_ext_{name}", EXTENSIONS / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_every_public_package_has_a_page() -> None:
    assert set(extension("api_reference").PACKAGES) == set(improved_gan._PACKAGES)


def test_a_page_lists_every_public_name() -> None:
    reference = extension("api_reference")
    for package in reference.public_packages():
        page = reference.page(package)
        for name in getattr(improved_gan, package).__all__:
            assert f":: {name}\n" in page, f"{package}.{name}"


def test_an_inventory_is_one_that_sphinx_reads(tmp_path: Path) -> None:
    inventory = pytest.importorskip("sphinx.util.inventory").InventoryFile
    mapping = extension("inventories").write_inventories(tmp_path)
    address, file = mapping["torch"]
    found = inventory.loads(Path(file).read_bytes(), uri=address).data
    assert found["py:class"]["torch.Tensor"].uri == f"{address}tensors.html#torch.Tensor"


def test_a_signature_is_that_of_the_source() -> None:
    pytest.importorskip("sphinx")
    from improved_gan.techniques import feature_matching_loss

    signature, returns = extension("signatures").as_written(None, "function", "", feature_matching_loss)
    assert signature.startswith("(real_features: ")
    assert returns == "Tensor"
