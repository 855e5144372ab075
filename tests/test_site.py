"""The documentation site: what a build does not notice by itself."""

import ast
import importlib.util
import re
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


def returns_with_a_type(source: str) -> list[str]:
    """What napoleon takes for a type, in italics: the first line of a "Returns" section up to a colon."""
    found = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            first = re.search(r"^(?:Returns|Yields):\n +(.*)", ast.get_docstring(node) or "", flags=re.MULTILINE)
            if first is not None and re.search(r":(\s|$)", re.sub(r"`[^`]*`", "", first[1])):
                found.append(f"{node.name}: {first[1]}")
    return found


def test_what_a_function_returns_is_no_type() -> None:
    package = Path(improved_gan.__file__).parent
    assert [
        one for file in package.rglob("*.py") for one in returns_with_a_type(file.read_text(encoding="utf-8"))
    ] == []
    bad = 'def f():\n    """What.\n\n    Returns:\n        () the loss: a number.\n    """\n'
    assert returns_with_a_type(bad) == ["f: () the loss: a number."]


def test_what_scrolls_can_be_reached_by_keyboard_and_headings_have_levels() -> None:
    context = {
        "furo_navigation_tree": '<p class="caption" role="heading">Guides</p>',
        "body": '<pre>a</pre><div class="table-wrapper x"><table><td>9 ± 1</td></table></div>',
        "title": None,
    }
    extension("accessibility").mend(None, "index", "page.html", context, None)
    assert context == {
        "furo_navigation_tree": '<p class="caption" role="heading" aria-level="2">Guides</p>',
        "body": '<pre tabindex="0">a</pre>'
        '<div tabindex="0" role="group" aria-label="table" class="table-wrapper x"><table>'
        "<td>9\N{NO-BREAK SPACE}±\N{NO-BREAK SPACE}1</td></table></div>",
        "title": None,
    }


def test_links_that_lead_nowhere_are_found(tmp_path: Path) -> None:
    spec = importlib.util.spec_from_file_location("check_site", EXTENSIONS.parent / "check_site.py")
    assert spec is not None
    assert spec.loader is not None
    checks = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(checks)
    (tmp_path / "b").mkdir()
    (tmp_path / "b" / "two.html").write_text('<h1 id="top">2</h1><a href="../one.html#here">1</a>')
    good = '<a id="here" href="b/two.html#top">2</a><a href="#here"></a><a href="https://pytorch.org/a#b">torch</a>'
    (tmp_path / "one.html").write_text(good)
    assert checks.broken_links(tmp_path) == []
    bad = ["b/three.html", "b/two.html#bottom", "#nowhere", "https://no host/", "ftp://a.b"]
    (tmp_path / "one.html").write_text(good + "".join(f'<a href="{address}">x</a>' for address in bad))
    assert checks.broken_links(tmp_path) == [f"one.html: {address}" for address in bad]
