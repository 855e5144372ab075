"""The documents keep up with the code: commands and options, links, the map, examples in the README."""

import re
import shlex
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import click
import pytest

from improved_gan import techniques
from improved_gan.cli import app
from improved_gan.recipes import RECIPES
from improved_gan.reproduction import TABLES
from tests.pictures import quick_network

ROOT = Path(__file__).parent.parent
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")])
COMMANDS = app.commands


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


def command_lines(text: str) -> Iterator[list[str]]:
    """The words of each command of a page, in blocks of code and in sentences, after `improved-gan`."""
    blocks = [block.replace("\\\n", " ") for block in re.findall(r"^```\n(.*?)^```", text, re.DOTALL | re.MULTILINE)]
    lines = [line for block in blocks for line in block.splitlines()]
    spans = [span.replace("\n", " ") for span in re.findall(r"`(improved-gan [^`]+)`", text)]
    for line in (*lines, *spans):
        if match := re.match(r"(?:torchrun .* -m improved_gan|improved-gan) (.*)", line.strip()):
            yield shlex.split(match[1], comments=True)


def refused(words: list[str]) -> str:
    """Why the command line does not take the words, or nothing; capital words stand for anything."""
    command: click.Command = app
    while isinstance(command, click.Group):
        if not words or words[0].startswith("-") or words[0].isupper() or "|" in words[0]:
            return ""
        name, *words = words
        if (found := command.commands.get(name)) is None:
            return f"no command {name}"
        command = found
    named = r"[a-z][a-z0-9-]*"  # no file, option or capital word
    recipes = words[:1] if command.name == "train" else []
    for option, value in pairwise(words):
        recipes += [value] if option == "--recipe" else []
    recipes += [word.removeprefix("--recipe=") for word in words if word.startswith("--recipe=")]
    for recipe in recipes:
        if re.fullmatch(named, recipe) and recipe not in RECIPES:
            return f"no recipe {recipe}"
    if command.name == "reproduce" and words and re.fullmatch(named, words[0]) and words[0] not in TABLES:
        return f"no table {words[0]}"
    known = {name for parameter in command.params for name in (*parameter.opts, *parameter.secondary_opts)} | {"--help"}
    unknown = set(re.findall(r"(?<![\w-])--[a-z][\w-]*", " ".join(words))) - known
    return f"no option {', '.join(sorted(unknown))}" if unknown else ""


def test_commands_of_the_pages_exist_with_their_options() -> None:
    lines = [(page.name, words) for page in PAGES for words in command_lines(page.read_text(encoding="utf-8"))]
    assert len(lines) > 100
    assert [(page, words, why) for page, words in lines if (why := refused(list(words)))] == []


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("```\nimproved-gan train digits \\\n    --epochs 5  # some words\n```", []),
        ("```\nimproved-gan trane digits\n```", ["no command trane"]),
        ("use `improved-gan train digit`", ["no recipe digit"]),
        ("use `improved-gan train mnist-grapf`", ["no recipe mnist-grapf"]),
        ("```\nimproved-gan train mnist-graph\nimproved-gan train my_recipe.py\nimproved-gan train RECIPE\n```", []),
        ("use `improved-gan reproduce mnist-tables --labels 100`", ["no table mnist-tables"]),
        ("use `improved-gan reproduce mnist --recipe mnist-grapf`", ["no recipe mnist-grapf"]),
        ("use `improved-gan reproduce --recipe=mnist-grapf`", ["no recipe mnist-grapf"]),
        ("```\nimproved-gan reproduce mnist --recipe mnist-graph\nimproved-gan reproduce --recipe my.py\n```", []),
        ("```\nimproved-gan turing-test serve --reel photos\n```", ["no option --reel"]),
        ("```\ntorchrun --nproc-per-node 2 -m improved_gan sample RUN --nun 3\n```", ["no option --nun"]),
    ],
)
def test_commands_that_do_not_exist_are_found(text: str, why: list[str]) -> None:
    assert [reason for words in command_lines(text) if (reason := refused(words))] == why


def prose(text: str) -> list[str]:
    """The lines of a page that are not in a fenced block of code; those are left empty, so that line numbers stay."""
    lines, fence = [], ""
    for line in text.splitlines():
        mark = re.match(r" {0,3}(```+|~~~+)", line)
        if not fence:
            fence = mark[1] if mark else ""
            lines.append("" if mark else line)
        else:
            fence = "" if mark and mark[1].startswith(fence) and line.strip() == mark[1] else fence
            lines.append("")
    return lines


def anchors(text: str) -> set[str]:
    """What links within a page may name: its headings by GitHub's rules, and the ids that are written in HTML.

    A heading's words in small letters, without marks and punctuation but for - and _, blanks as hyphens; headings that
    are alike are counted: same, same-1, same-2.
    """
    lines = prose(text)
    found = set(re.findall(r'<\w+ (?:id|name)="([^"]+)"', "\n".join(lines)))
    seen: dict[str, int] = {}
    for heading in (match[1] for line in lines if (match := re.match(r" {0,3}#{1,6}\s+(.*?)(?:\s+#+)?\s*$", line))):
        words = re.sub(r"!?\[([^\]]*)\]\([^)]*\)", r"\1", heading).lower()  # of a link its text
        slug = re.sub(r"[^\w\- ]", "", words).replace(" ", "-")
        found.add(f"{slug}-{seen[slug]}" if slug in seen else slug)
        seen[slug] = seen.get(slug, 0) + 1
    return found


def broken_links(page: Path, text: str) -> list[str]:
    """Links of a page to files that are not there, and to headings that their page does not have."""
    broken = []
    for target in re.findall(r"\]\(([^)\s]+)[^)]*\)", "\n".join(prose(text))):
        if re.match(r"https?:|mailto:", target):
            continue
        path, _, anchor = target.partition("#")
        file = page.parent / path if path else page
        if not file.exists():
            broken.append(target)
        elif anchor and file.suffix == ".md":
            broken += [target] * (anchor not in anchors(file.read_text() if path else text))
    return broken


def long_lines(text: str) -> list[int]:
    """Numbers of the lines of more than 120 characters but for rows of tables, which Markdown cannot wrap."""
    return [n for n, line in enumerate(text.splitlines(), 1) if len(line) > 120 and not line.startswith("|")]


def headless_tables(text: str) -> list[int]:
    """Numbers of the lines that begin a table and have no line of dashes under them: rows cut off by a blank line."""
    lines = ["", *prose(text), ""]
    return [
        number
        for number in range(1, len(lines) - 1)
        if lines[number].startswith("|")
        and not lines[number - 1].startswith("|")
        and not re.fullmatch(r"\|(\s*:?-+:?\s*\|)+\s*", lines[number + 1])
    ]


def test_links_lead_somewhere() -> None:
    assert {page: found for page in PAGES if (found := broken_links(page, page.read_text()))} == {}


def test_each_page_has_one_title() -> None:
    """The site lists every heading of the first level as a page."""
    titles = {page: [line for line in prose(page.read_text()) if line.startswith("# ")] for page in PAGES}
    assert {page: found for page, found in titles.items() if len(found) != 1} == {}


def test_tables_are_whole() -> None:
    assert {page: found for page in PAGES if (found := headless_tables(page.read_text()))} == {}


def test_lines_are_wrapped() -> None:
    assert {page: found for page in PAGES if (found := long_lines(page.read_text()))} == {}


def test_long_lines_are_found_outside_tables() -> None:
    long = "x" * 121
    assert long_lines(f"{long[1:]}\n{long}\n| {long} |\n```\n{long}\n```\n- {long}") == [2, 5, 7]


@pytest.mark.parametrize(
    ("text", "broken"),
    [
        ("# A `b_c`, d's (e)!\n\n[to it](#a-b_c-ds-e)", []),
        ("# Same\n\n# Same\n\n[first](#same) [second](#same-1)", []),
        ("# Same\n\n[second](#same-1)", ["#same-1"]),
        ("```\n# no heading\n[no link](nowhere.md)\n```\n\n[to it](#no-heading)", ["#no-heading"]),
        ('<a id="here"></a> [to it](#here) [elsewhere](#there)', ["#there"]),
        ("[a file](docs/nowhere.md) [a page](https://example.org/#any)", ["docs/nowhere.md"]),
        ("[a heading](docs/results.md#theory) [none](docs/results.md#nowhere)", ["docs/results.md#nowhere"]),
    ],
)
def test_broken_links_are_found(text: str, broken: list[str]) -> None:
    assert broken_links(ROOT / "README.md", text) == broken


@pytest.mark.parametrize(
    ("text", "lines"),
    [
        ("| a | b |\n|---|:-:|\n| 1 | 2 |\n\n| c |\n|---|\n| 3 |", []),
        ("| a | b |\n|---|---|\n| 1 | 2 |\n\n| 3 | 4 |\n| 5 | 6 |", [5]),
        ("| a |\n\n```\n| code |\n```", [1]),
    ],
)
def test_tables_that_are_cut_are_found(text: str, lines: list[int]) -> None:
    assert headless_tables(text) == lines


def test_the_map_points_to_files_that_exist_and_names_every_technique() -> None:
    text = (ROOT / "docs" / "paper_map.md").read_text()
    for path in re.findall(r"`(\w+/[\w/.-]+\.(?:py|md|cpp))`", text):
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


def test_python_examples_of_the_metrics_run(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("improved_gan.embeddings.choose_network", quick_network)  # its weights are a download
    blocks = re.findall(r"```python\n(.*?)```", (ROOT / "docs" / "metrics" / "README.md").read_text(), re.DOTALL)
    assert len(blocks) == 3
    exec(compile("\n".join(blocks), "metrics/README.md", "exec"), {})


def test_python_examples_of_the_readme_run() -> None:
    blocks = re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL)
    assert blocks
    for block in blocks:
        exec(compile(block, "README.md", "exec"), {})
