import io
import json
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from rich.console import Console
from sklearn.semi_supervised import LabelSpreading

from improved_gan.console import print_whole
from improved_gan.data import LabelSplit, load_digits
from improved_gan.reproduction.demo import NAMES, Result, _table, run_demo

pytestmark = pytest.mark.slow  # one demonstration of 30 epochs, and its second start


@pytest.fixture(scope="module")
def short_demo(tmp_path_factory: pytest.TempPathFactory, quick_python: Path) -> tuple[Path, str]:
    out, screen = tmp_path_factory.mktemp("demo") / "demo", io.StringIO()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "executable", str(quick_python))
        run_demo(out, splits=1, epochs=30, console=Console(file=screen, width=160))
    return out, screen.getvalue()


def test_the_table_has_every_method_with_counts(short_demo: tuple[Path, str]) -> None:
    out, text = short_demo
    results = json.loads((out / "results.json").read_text())
    assert tuple(results) == NAMES
    for name, result in results.items():
        assert any(line.startswith(name) and f" {result['wrong'][0]} " in line for line in text.splitlines())
        assert 0 < result["wrong"][0] < 250


def test_the_comparison_uses_the_runs_own_split_and_no_other_labels(short_demo: tuple[Path, str]) -> None:
    out, _ = short_demo
    stored = json.loads((out / "gan" / "split-1-seed-1" / "recipe.json").read_text())["settings"]["label_split"]
    data = load_digits()
    split = LabelSplit.draw(data.train.labels, 50, seed=1)
    assert split.as_dict() == stored
    known = np.full(1297, -1)
    known[stored["indices"]] = stored["labels"]
    assert (known >= 0).sum() == 50
    model = LabelSpreading(kernel="knn", max_iter=100).fit(data.train.images.flatten(1).numpy() / 255, known)
    wrong = (model.predict(data.test.images.flatten(1).numpy() / 255) != data.test.labels.numpy()).sum()
    assert json.loads((out / "results.json").read_text())["LabelSpreading"]["wrong"] == [wrong]


def test_pictures_are_written_and_named(short_demo: tuple[Path, str]) -> None:
    out, text = short_demo
    for name in ("samples.png", "learning-curves.png"):
        assert str(out / name) in text
        with Image.open(out / name) as picture:
            assert picture.size[0] > 300


def test_a_second_start_continues_where_the_first_ended(short_demo: tuple[Path, str]) -> None:
    out, _ = short_demo
    before = json.loads((out / "results.json").read_text())
    again = run_demo(out, splits=1, epochs=30, console=Console(file=io.StringIO()))
    assert {name: result.wrong for name, result in again.items()} == {n: r["wrong"] for n, r in before.items()}


def test_the_gan_beats_the_same_network_on_the_labels_alone(short_demo: tuple[Path, str]) -> None:
    results = json.loads((short_demo[0] / "results.json").read_text())
    assert results["GAN"]["wrong"][0] < results["supervised"]["wrong"][0]


def test_no_digit_of_many_splits_is_lost_in_a_pipe() -> None:
    screen, wrong = io.StringIO(), list(range(101, 121))
    print_whole(Console(file=screen, width=80), _table(dict.fromkeys(NAMES, Result(wrong, 1.0)), 500))
    row = next(line for line in screen.getvalue().splitlines() if line.startswith("SelfTraining"))
    assert row.split()[1:21] == [str(one) for one in wrong]
