import builtins
import io
import json
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import pytest
from matplotlib.figure import Figure
from PIL import Image
from rich.console import Console

from improved_gan.recipes import RECIPES
from improved_gan.reproduction.plan import Plan, RunOptions, make_plan
from improved_gan.reproduction.results import Cell, collect
from improved_gan.reproduction.table_formats import (
    _logarithmic,
    _title,
    as_json,
    as_markdown,
    curve,
    draw_curves,
    draw_logs,
    draw_table,
    notes,
    print_table,
)
from tests.reproduction.jobs import fill, plan


def mnist_plan(out: Path, **changes: object) -> Plan:
    asked = {"recipe": None, "labels": [100], "splits": 10, "models": 1, "ensemble": 10, "options": RunOptions()}
    return make_plan("mnist", **{**asked, "out": out, **changes})


def cells(plan: Plan) -> list[Cell]:
    row = plan.table.rows[0]
    single = {f"split-{split}-seed-{split}": wrong for split, wrong in ((1, 90.0), (2, 97.0), (4, 95.0))}
    one = Cell(row, 1, {1: 90.0, 2: 97.0, 4: 95.0}, single, dict.fromkeys(single, 30.0), 10, {"split-3-seed-3": "lost"})
    one = replace(one, begun={"split-5-seed-5": 7})
    return [one, Cell(row, 10, {}, {}, {}, 10, {}, "needs 10 models a split, there are 1 (--num-seeds)")]


def test_the_terminal_shows_ours_beside_the_papers(tmp_path: Path) -> None:
    plan = mnist_plan(tmp_path)
    console = Console(file=io.StringIO(), width=100)
    print_table(plan, cells(plan), console)
    lines = [line.split() for line in console.file.getvalue().splitlines()]
    assert " ".join(lines[2]) == "100 labels 1 93 ± 6.5 94 ± 3.6 3/10, 1 failed +0.34 30.0"
    assert " ".join(lines[3]) == "100 labels 10 86 ± 5.6 - 0/10 - -"


def with_20_labels(plan: Plan) -> list[Cell]:
    row, values = plan.table.rows[0], {1: 1125.0, 2: 2230.0, 3: 1677.0, 5: 1204.0, 6: 2150.0, 8: 1420.0, 9: 1933.0}
    single = {f"split-{split}-seed-{split}": wrong for split, wrong in values.items()}
    one = Cell(row, 1, values, single, dict.fromkeys(single, 1234.5), 10, {"a": "lost", "b": "lost"})
    return [one, Cell(row, 10, values, {}, {f"split-{split}": 12345.6 for split in values}, 10, {})]


def test_figures_of_20_labels_are_whole_at_80_columns_and_elsewhere_at_any_width(tmp_path: Path) -> None:
    plan = mnist_plan(tmp_path, labels=[20])
    for terminal, width in ((True, 80), (False, 80), (False, 30)):
        console = Console(file=io.StringIO(), width=width, force_terminal=terminal, color_system=None)
        print_table(plan, with_20_labels(plan), console)
        lines = [" ".join(line.split()) for line in console.file.getvalue().splitlines()]
        assert "20 labels 1 1677 ± 452 1677 ± 445 7/10, 2 failed +0.00 1234.5" in lines
        assert any(line.startswith("20 labels 10 1134 ± 445 1677 ± 445 7/10 +") for line in lines)
        assert console.width == width


def test_the_page_is_a_table_with_notes_and_pictures(tmp_path: Path) -> None:
    plan = mnist_plan(tmp_path)
    page = as_markdown(plan, cells(plan), plots=["curves.png"])
    assert "| 100 labels | 1 | 93 ± 6.5 | 94 ± 3.6 | 3/10, 1 failed | +0.34 | 30.0 |" in page
    assert "- 100 labels, one, by split: 1: 90 (30.0 min), 2: 97 (30.0 min), 4: 95 (30.0 min)\n" in page
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
    assert one["paper"] == {"mean": 93, "std": 6.5, "splits": 10}
    assert (one["splits_finished"], one["splits"]) == (3, 10)
    assert one["minutes"]["split-4-seed-4"] == 30
    assert one["failed"] == {"split-3-seed-3": "lost"}
    assert one["begun"] == {"split-5-seed-5": 7}
    assert ensemble["z"] is None


def test_all_models_are_summed_up_beside_the_first_of_each_split(tmp_path: Path) -> None:
    plan = mnist_plan(tmp_path, models=2)
    assert "100 labels, one, over all 3 models: 94 ± 3.6" in notes(plan, cells(plan))
    assert not any("over all" in note for note in notes(mnist_plan(tmp_path), cells(plan)))


def test_different_standard_deviations_are_noted(tmp_path: Path) -> None:
    plan = make_plan(
        "ablations", recipe=None, labels=[], splits=1, models=1, ensemble=10, out=tmp_path, options=RunOptions()
    )
    assert any("ten parts of its 50,000 samples, ours over runs" in note for note in notes(plan, []))


def test_one_clear_line_for_recipes_that_are_not_there_yet(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(RECIPES, "svhn")
    plan = make_plan(
        "svhn", recipe=None, labels=[], splits=1, models=1, ensemble=10, out=tmp_path, options=RunOptions()
    )
    empty = collect(plan, lambda jobs: (0, 1))
    said = [note for note in notes(plan, empty) if "recipe" in note]
    assert said == ["no recipe yet: svhn; the row is filled as soon as a recipe of that name exists"]
    assert "| 500 labels | 1 | 18.44 ± 4.80 | no recipe yet | - | - | - |" in as_markdown(plan, empty, plots=[])


PNG = b"\x89PNG"


def test_a_curve_ends_where_less_than_half_of_the_runs_have_come() -> None:
    logs = [[{"epoch": e, "a": float(e + run)} for e in range(1, 4 - run)] for run in range(3)]
    assert curve(logs, "a", 10) == ([1, 2], [20.0, 25.0], [10.0, 20.0], [30.0, 30.0])
    assert curve(logs, "b") == ([], [], [], [])


def test_pictures_of_a_table_that_is_half_done(tmp_path: Path) -> None:
    whole = plan(tmp_path)
    fill(whole.all_jobs()[0], wrong=20)
    fill(whole.all_jobs()[1], wrong=30, epoch=1)
    cells = collect(whole, lambda jobs: (0, 1))
    for path in (draw_table(whole, cells, tmp_path / "t.png"), draw_curves(whole, tmp_path / "c.png")):
        assert path.read_bytes().startswith(PNG)
    assert [_title(cell) for cell in cells] == ["50 labels\none model\n1/3 splits", "50 labels\n2 averaged\n0/3 splits"]
    assert _title(replace(cells[0], splits=1)) == "50 labels\none model"


def test_pictures_of_nothing_and_of_the_paper_alone(tmp_path: Path) -> None:
    table = make_plan(
        "mnist", recipe=None, labels=[], splits=2, models=1, ensemble=10, out=tmp_path, options=RunOptions()
    )
    assert draw_table(table, collect(table, lambda jobs: (0, 1)), tmp_path / "t.png").read_bytes().startswith(PNG)
    assert draw_curves(table, tmp_path / "c.png").read_bytes().startswith(PNG)


def test_a_log_from_elsewhere_can_be_drawn(tmp_path: Path) -> None:
    log = Path(__file__).parents[2] / "docs" / "runs" / "mnist-100-seed1.jsonl"
    reports = [json.loads(line) for line in log.read_text().splitlines()]
    path = draw_logs({"mnist": [reports]}, tmp_path / "c.png")
    assert path.read_bytes() == draw_logs({"mnist": [reports]}, tmp_path / "d.png").read_bytes()


def test_a_missing_matplotlib_names_the_command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def without(name, *rest, real=builtins.__import__):
        if name.startswith("matplotlib"):
            raise ModuleNotFoundError(f"No module named {name!r}")
        return real(name, *rest)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(ModuleNotFoundError, match=r"pip install 'improved-gan\[plots\]'"):
        draw_logs({}, tmp_path / "c.png")


def test_a_run_without_a_game_has_no_empty_panels(tmp_path: Path) -> None:
    report = {"epoch": 1, "test/error": 0.1, "discriminator/supervised": 0.2}
    game = {**report, "discriminator/unsupervised": 0.3, "generator/feature_matching": 0.4}
    sizes = []
    for reports in (report, game):
        with Image.open(draw_logs({"mnist": [[reports, {**reports, "epoch": 2}]]}, tmp_path / "c.png")) as picture:
            sizes.append(picture.size)
    assert sizes[0][0] == pytest.approx(sizes[1][0], abs=2)
    assert sizes[0][1] == pytest.approx(sizes[1][1] / 2, abs=2)


@pytest.mark.parametrize(("errors", "few"), [((1.6, 0.7), 3), ((3.1, 0.6), 4), ((0.9, 0.004), 6)])
def test_a_logarithmic_axis_has_enough_numbers_to_be_read_as_one(errors: tuple[float, float], few: int) -> None:
    figure = Figure()
    axes = figure.subplots()
    axes.plot([1, 2], errors)
    _logarithmic(axes)
    low, high = axes.get_ylim()
    shown = [tick for tick in axes.get_yticks() if low <= tick <= high]
    assert few <= len(shown) <= 9
    assert len({round(after / before, 3) for before, after in pairwise(shown)}) > 1  # unequal: it is no linear axis
