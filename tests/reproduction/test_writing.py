import io
import json
from pathlib import Path

from rich.console import Console

from improved_gan.reproduction.plan import Plan, RunOptions, make_plan
from improved_gan.reproduction.results import Cell, collect
from improved_gan.reproduction.writing import as_json, as_markdown, as_text, notes


def mnist_plan(out: Path, **changes: object) -> Plan:
    asked = {"recipe": None, "labels": [100], "splits": 10, "models": 1, "ensemble": 10, "options": RunOptions()}
    return make_plan("mnist", **{**asked, "out": out, **changes})


def cells(plan: Plan) -> list[Cell]:
    row = plan.table.rows[0]
    single = {f"split-{split}-seed-{split}": wrong for split, wrong in ((1, 90.0), (2, 97.0), (4, 95.0))}
    one = Cell(row, 1, {1: 90.0, 2: 97.0, 4: 95.0}, single, dict.fromkeys(single, 30.0), 10, {"split-3-seed-3": "lost"})
    return [one, Cell(row, 10, {}, {}, {}, 10, {}, "needs 10 models a split, there are 1 (--seeds)")]


def test_the_terminal_shows_ours_beside_the_papers(tmp_path: Path) -> None:
    plan = mnist_plan(tmp_path)
    console = Console(file=io.StringIO(), width=100)
    console.print(as_text(plan, cells(plan)))
    lines = [line.split() for line in console.file.getvalue().splitlines()]
    assert " ".join(lines[2]) == "100 labels one 93 ± 6.5 94 ± 3.6 3 of 10 splits, 1 failed +0.34 30.0"
    assert " ".join(lines[3]) == "100 labels 10 averaged 86 ± 5.6 - 0 of 10 splits - -"
    assert max(len(line.rstrip()) for line in console.file.getvalue().splitlines()) <= 90


def test_the_page_is_a_table_with_notes_and_pictures(tmp_path: Path) -> None:
    plan = mnist_plan(tmp_path)
    page = as_markdown(plan, cells(plan), pictures=["curves.png"])
    assert "| 100 labels | one | 93 ± 6.5 | 94 ± 3.6 | 3 of 10 splits, 1 failed | +0.34 | 30.0 |" in page
    assert "- 100 labels, one, by split: 1: 90, 2: 97, 4: 95\n" in page
    assert "- 100 labels, split-3-seed-3 failed: lost\n" in page
    assert "- 100 labels, 10 averaged: needs 10 models a split" in page
    assert page.endswith("![curves.png](curves.png)\n")
    widths = {line.count("|") for line in page.splitlines() if line.startswith("|")}
    assert widths == {8}


def test_json_holds_everything(tmp_path: Path) -> None:
    plan = mnist_plan(tmp_path)
    content = json.loads(json.dumps(as_json(plan, cells(plan)), allow_nan=False))
    one, ensemble = content["cells"]
    assert one["values"] == {"1": 90, "2": 97, "4": 95}
    assert one["ours"]["mean"] == 94
    assert one["paper"] == {"mean": 93, "deviation": 6.5, "splits": 10}
    assert (one["splits_finished"], one["splits"]) == (3, 10)
    assert one["minutes"]["split-4-seed-4"] == 30
    assert one["failed"] == {"split-3-seed-3": "lost"}
    assert ensemble["z"] is None


def test_one_clear_line_for_recipes_that_are_not_there_yet(tmp_path: Path) -> None:
    plan = make_plan(
        "svhn", recipe=None, labels=[], splits=1, models=1, ensemble=10, out=tmp_path, options=RunOptions()
    )
    empty = collect(plan, lambda jobs: (0, 1))
    said = [note for note in notes(plan, empty) if "recipe" in note]
    assert said == ["no recipe yet: svhn; the table fills as soon as one of that name is there"]
    assert "| 500 labels | one | 18.44 ± 4.80 | no recipe yet | - | - | - |" in as_markdown(plan, empty, pictures=[])
