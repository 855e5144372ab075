import builtins
import json
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import pytest
from matplotlib.figure import Figure
from PIL import Image

from improved_gan.reproduction.plan import RunOptions, make_plan
from improved_gan.reproduction.plots import _logarithmic, _title, curve, draw_curves, draw_logs, draw_table
from improved_gan.reproduction.results import collect
from tests.reproduction.jobs import fill, plan

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
