import csv
import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from rich.console import Console

from improved_gan.active_learning.image_stream import ImageList
from improved_gan.cli.accuracy import measure, show_accuracy, truth_of
from improved_gan.data import DataError

CLASSES = ["cat", "dog", "[b]cow"]


def holdout(root: Path, *names: str) -> Path:
    for number, name in enumerate(names):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.full((4, 4), number, np.uint8)).save(root / name)
    return root


def predictions(path: Path, rows: list[tuple[str, str, str]]) -> Path:
    with path.open("w", newline="") as file:
        csv.writer(file).writerows([["file", "label", "sha256"], *rows])
    return path


def shown(found: object) -> str:
    screen = io.StringIO()
    show_accuracy(found, Console(file=screen, width=160))  # type: ignore[arg-type]
    return screen.getvalue()


def test_class_folders_give_the_truth(tmp_path: Path) -> None:
    root = holdout(tmp_path / "h", "cat/1.png", "dog/1.png", "sheep/1.png", "2.png")
    truth = truth_of(ImageList([root]), CLASSES, None)
    assert truth is not None
    assert truth.classes == {f"{root}/{name}/1.png": name for name in ("cat", "dog", "sheep")}
    assert truth_of(ImageList([holdout(tmp_path / "y", "2024/1.png", "2025/1.png")]), CLASSES, None) is None


def test_one_class_folder_alone(tmp_path: Path) -> None:
    root = holdout(tmp_path / "h", "cat/1.png", "cat/2.png")
    for paths in ([root], [root / "cat"]):
        truth = truth_of(ImageList(paths), CLASSES, None)
        assert truth is not None
        assert truth.classes == {f"{root}/cat/1.png": "cat", f"{root}/cat/2.png": "cat"}
    assert truth_of(ImageList([root / "cat/1.png"]), CLASSES, None) is None


def test_a_labels_file_counts_alone(tmp_path: Path) -> None:
    root = holdout(tmp_path / "h", "cat/1.png", "dog/1.png")
    (tmp_path / "labels.csv").write_text("file,label\ncat/1.png,dog\ndog/1.png,-1\n")
    truth = truth_of(ImageList([root]), CLASSES, tmp_path / "labels.csv")
    assert truth is not None
    assert truth.classes == {f"{root}/cat/1.png": "dog"}
    (tmp_path / "labels.csv").write_text("file,label\nnone.png,dog\n")
    with pytest.raises(DataError, match="none of the 1 files"):
        truth_of(ImageList([root]), CLASSES, tmp_path / "labels.csv")


def test_every_number_against_a_count_by_hand(tmp_path: Path) -> None:
    dice = np.random.default_rng(0)
    names = [*CLASSES, "sheep"]
    true = dice.integers(0, 4, 200)
    given = np.where(dice.random(200) < 0.7, np.minimum(true, 2), dice.integers(0, 3, 200))
    root = holdout(tmp_path / "h", *(f"{names[one]}/{place:03d}.png" for place, one in enumerate(true)), "no-class.png")
    rows = [
        (f"{root}/{names[t]}/{place:03d}.png", names[g], f"{place:064x}")
        for place, (t, g) in enumerate(zip(true, given, strict=True))
    ]
    file = predictions(tmp_path / "p.csv", [*rows, (f"{root}/no-class.png", "cat", "f" * 64)])
    truth = truth_of(ImageList([root]), CLASSES, None)
    assert truth is not None
    seen = frozenset(f"{place:064x}" for place in range(20))
    found = measure(file, truth, CLASSES, trained_on=seen)
    left = np.arange(200) >= 20
    counted = left & (true < 3)
    matrix = [[int(((true == t) & (given == g) & counted).sum()) for g in range(3)] for t in range(3)]
    numbers = found.as_dict()
    assert numbers["confusion"] == matrix
    assert numbers["images"] == counted.sum()
    assert numbers["wrong"] == (counted & (true != given)).sum()
    assert numbers["error"] == numbers["wrong"] / numbers["images"]
    assert numbers["unknown_classes"] == {"sheep": int((left & (true == 3)).sum())}
    assert (numbers["trained_on"], numbers["unlabeled"]) == (20, 1)
    for place, one in enumerate(numbers["classes"]):
        assert one["images"] == sum(matrix[place])
        assert one["recall"] == matrix[place][place] / sum(matrix[place])
        assert one["precision"] == matrix[place][place] / sum(row[place] for row in matrix)
        assert one["recall_interval"][0] < one["recall"] < one["recall_interval"][1]
    text = shown(found)
    assert (
        f"error {numbers['error']:.2%}: {numbers['wrong']} of {numbers['images']} images wrong (class folders)" in text
    )
    assert f"95% interval {numbers['interval']['low']:.2%} to {numbers['interval']['high']:.2%} (Wilson)" in text
    assert "20 images with a known class are training images of this run: not counted" in text
    assert f"(sheep: {numbers['unknown_classes']['sheep']})" in text
    assert "[b]cow" in text


def test_nothing_left_to_count_is_said(tmp_path: Path) -> None:
    root = holdout(tmp_path / "h", "cat/1.png", "dog/1.png")
    file = predictions(
        tmp_path / "p.csv", [(f"{root}/cat/1.png", "cat", "a" * 64), (f"{root}/dog/1.png", "cat", "b" * 64)]
    )
    truth = truth_of(ImageList([root]), CLASSES, None)
    assert truth is not None
    found = measure(file, truth, CLASSES, trained_on=frozenset({"a" * 64, "b" * 64}))
    assert "no error was computed: no counted image has a class of the run" in shown(found)
    assert found.as_dict()["error"] is None


def test_many_classes_are_told_as_confusions(tmp_path: Path) -> None:
    classes = [f"c{k}" for k in range(13)]
    root = holdout(tmp_path / "h", "c0/1.png", "c1/1.png", "c12/1.png")
    rows = [(f"{root}/{one}/1.png", given, "a" * 64) for one, given in (("c0", "c5"), ("c1", "c1"), ("c12", "c12"))]
    truth = truth_of(ImageList([root]), classes, None)
    assert truth is not None
    text = shown(measure(predictions(tmp_path / "p.csv", rows), truth, classes, trained_on=frozenset()))
    assert "true class -> predicted class: c0 -> c5 1" in text
    assert "-> c3" not in text
