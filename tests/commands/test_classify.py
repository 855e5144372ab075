import csv
import io
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from rich.console import Console

from improved_gan.commands.classify import run_classification
from improved_gan.data import DataError, load_digits
from improved_gan.recipes.trained import load_trained
from improved_gan.training.errors import RunError


@pytest.fixture
def images(tmp_path: Path) -> Path:
    """The first 30 test digits as PNG files."""
    folder = tmp_path / "images"
    folder.mkdir()
    for index, image in enumerate(load_digits().test.images[:30]):
        Image.fromarray(image[0].numpy()).save(folder / f"{index:02d}.png")
    return folder


def go(run: Path, *paths: Path, out: Path, fit: bool = False) -> tuple[int, str, list[dict[str, str]]]:
    screen = io.StringIO()
    console = Console(file=screen, width=200)
    failures = run_classification(run, list(paths), out=out, fit=fit, device=None, console=console)
    return failures, screen.getvalue(), list(csv.DictReader(io.StringIO(out.read_text())))


def test_rows_hold_label_probabilities_and_realness(trained_run: Path, images: Path, tmp_path: Path) -> None:
    failures, text, rows = go(trained_run, images, out=tmp_path / "new" / "out.csv")
    assert failures == 0
    assert "30 images classified" in text
    trained = load_trained(trained_run, warn=pytest.fail)
    with torch.no_grad():
        logits = trained.discriminator(load_digits().test.images[:30] / 255).logits.double().numpy()
    full = np.concatenate([logits, np.zeros((30, 1))], axis=1)
    full = np.exp(full) / np.exp(full).sum(1, keepdims=True)
    for index, row in enumerate(rows):
        assert row["file"].endswith(f"{index:02d}.png")
        probabilities = np.array([float(row[f"p({name})"]) for name in "0123456789"])
        np.testing.assert_allclose(probabilities, full[index, :10] / full[index, :10].sum(), atol=2e-6)
        assert row["label"] == str(probabilities.argmax())
        assert float(row["realness"]) == pytest.approx(1 - full[index, 10], abs=2e-6)


def test_most_test_digits_are_right_after_a_short_run(trained_run: Path, images: Path, tmp_path: Path) -> None:
    _, _, rows = go(trained_run, images, out=tmp_path / "out.csv")
    right = sum(int(row["label"]) == label for row, label in zip(rows, load_digits().test.labels[:30], strict=True))
    assert right >= 20


def test_bad_images_among_good_ones_are_reported_and_the_others_done(
    trained_run: Path, images: Path, tmp_path: Path
) -> None:
    (images / "05.png").write_bytes((images / "05.png").read_bytes()[:40])
    Image.new("L", (9, 9)).save(images / "06.png")
    Image.new("RGB", (8, 8)).save(images / "07.png")
    failures, text, rows = go(trained_run, images, out=tmp_path / "out.csv")
    assert failures == 3
    assert len(rows) == 27
    for name, reason in (("05.png", "cannot be read"), ("06.png", "is 9x9 in mode L"), ("07.png", "in mode RGB")):
        assert any(name in line and reason in line for line in text.splitlines())
    failures, _, rows = go(trained_run, images, out=tmp_path / "out.csv", fit=True)
    assert (failures, len(rows)) == (1, 29)


def test_names_with_brackets_are_reported_as_they_are(trained_run: Path, images: Path, tmp_path: Path) -> None:
    (images / "x[").mkdir()
    for name in ("photo[final].png", "x[/y].png"):
        (images / name).write_text("no picture")
    failures, text, rows = go(trained_run, images, out=tmp_path / "out.csv")
    assert (failures, len(rows)) == (2, 30)
    assert "photo[final].png cannot be read" in text
    assert "x[/y].png cannot be read" in text


def test_nothing_readable_leaves_the_output_alone(trained_run: Path, tmp_path: Path) -> None:
    (tmp_path / "bad.png").write_text("no picture")
    (tmp_path / "out.csv").write_text("precious")
    with pytest.raises(DataError, match="none of the 1 images"):
        go(trained_run, tmp_path / "bad.png", out=tmp_path / "out.csv")
    assert (tmp_path / "out.csv").read_text() == "precious"


def test_an_output_that_cannot_be_written(trained_run: Path, images: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(RunError, match="could not write"):
        go(trained_run, images, out=tmp_path / "file" / "out.csv")
