"""Each technique has a guide with all sections, code that runs, and the cost ratio of the index."""

import re
from pathlib import Path

import pytest

from improved_gan import label_spreading, techniques

ROOT = Path(__file__).parent.parent
GUIDES = ROOT / "docs" / "techniques"
PAGES = sorted(path for path in GUIDES.glob("*.md") if path.name != "README.md")
INDEX = (GUIDES / "README.md").read_text()
PARTS = [
    "Motivation",
    "Formula",
    "Usage",
    "Settings",
    "Cost",
    "Differences from the paper",
    "Pitfalls",
]


def test_every_technique_has_its_page_and_every_page_its_technique() -> None:
    names = {path.stem for path in (ROOT / "src" / "improved_gan" / "techniques").glob("[a-z]*.py")}
    after_the_paper = {"image_deformation_model", "label_spreading", "random_elastic_affine", "virtual_adversarial"}
    assert {page.stem for page in PAGES} == {*names, *after_the_paper}


def test_every_public_name_is_in_the_index() -> None:
    for name in (*techniques.__all__, *label_spreading.__all__):
        assert f"`{name}`" in INDEX, name


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_page_has_its_parts_and_stays_short(page: Path) -> None:
    text = page.read_text()
    assert re.findall(r"^## (.+)$", text, re.MULTILINE) == PARTS
    assert 30 <= text.count("\n") <= 80


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_code_of_the_page_runs(page: Path) -> None:
    blocks = re.findall(r"```python\n(.*?)```", page.read_text(), re.DOTALL)
    assert blocks
    for block in blocks:
        assert re.search("from improved_gan.(techniques|label_spreading) import", block)
        exec(compile(block, page.name, "exec"), {})


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_cost_ratio_of_the_page_is_that_of_the_index(page: Path) -> None:
    ratio = re.search(r"^Ratio (\d+\.\d\d):", page.read_text(), re.MULTILINE)
    assert ratio is not None
    row = next(line for line in INDEX.splitlines() if f"({page.name})" in line)
    assert row.endswith(f"| {ratio[1]} |")
