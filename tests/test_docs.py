"""The documents keep up with the code: commands and options, links, the map, examples in the README."""

import re
from pathlib import Path

import pytest
import typer.main

from improved_gan import techniques
from improved_gan.cli import app
from improved_gan.recipes import RECIPES

ROOT = Path(__file__).parent.parent
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")])
COMMANDS = typer.main.get_command(app).commands


def parameters(command):
    """A command's own parameters and those of its commands, where it has some."""
    found = list(command.params)
    for one in getattr(command, "commands", {}).values():
        found += parameters(one)
    return found


@pytest.mark.parametrize("name", sorted(COMMANDS))
def test_every_command_and_option_is_documented(name: str) -> None:
    page = (ROOT / "docs" / "cli.md").read_text()
    assert f"## {name}" in page
    section = page.split(f"## {name}\n")[1].split("\n## ")[0]
    for parameter in parameters(COMMANDS[name]):
        if parameter.param_type_name == "option":
            assert any(f"{option}" in section for option in parameter.opts), f"{name} {parameter.opts}"


def test_the_page_names_no_option_that_does_not_exist() -> None:
    page = (ROOT / "docs" / "cli.md").read_text()
    known = {
        option
        for command in COMMANDS.values()
        for parameter in parameters(command)
        for option in (*parameter.opts, *parameter.secondary_opts)
    }
    assert set(re.findall(r"(?<![\w-])--[a-z][a-z-]+", page)) <= known | {"--help", "--version"}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)]+)\)", page.read_text()):
        if not target.startswith(("http:", "https:", "#")):
            assert (page.parent / target.split("#")[0]).exists(), target


def test_the_map_points_to_files_that_exist_and_names_every_technique() -> None:
    text = (ROOT / "docs" / "paper_map.md").read_text()
    for path in re.findall(
        r"`((?:techniques|models|training|data|metrics|theory|turing_test|tests|examples|docs)/[\w/.-]+\.\w+)`", text
    ):
        assert (ROOT / path).exists() or (ROOT / "src" / "improved_gan" / path).exists(), path
    for file in (ROOT / "src" / "improved_gan" / "techniques").glob("[a-z]*.py"):
        assert f"techniques/{file.name}" in text


def test_every_public_technique_is_exported_and_says_where_it_comes_from() -> None:
    assert sorted(techniques.__all__) == techniques.__all__
    for name in techniques.__all__:
        doc = getattr(techniques, name).__doc__
        assert "Source:" in doc, name
        assert ">>>" in doc, name


def test_every_recipe_has_a_docstring() -> None:
    for name, build in RECIPES.items():
        assert build.__doc__, name


def test_python_examples_of_the_readme_run() -> None:
    blocks = re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL)
    assert blocks
    for block in blocks:
        exec(compile(block, "README.md", "exec"), {})
