import contextlib
import csv
import hashlib
import io
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from rich.console import Console

from improved_gan.commands import classify
from improved_gan.commands.classify import judge, run_classification
from improved_gan.data import DataError, load_digits
from improved_gan.recipes.trained import load_trained
from improved_gan.training.errors import InterruptedRunError, RunError


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


def test_what_is_not_read_is_said(trained_run: Path, images: Path, tmp_path: Path) -> None:
    (images / "x.HEIC").touch()
    (images / "dead.png").symlink_to(tmp_path / "nowhere")
    first = Image.open(images / "00.png")
    first.save(images / "pages.tif", save_all=True, append_images=[first, first])
    failures, text, rows = go(trained_run, images, out=tmp_path / "out.csv")
    assert (failures, len(rows)) == (1, 31)
    assert "left out: 1 file not read as images (1 .heic)" in text.replace("\n", " ")
    assert f"skipped: {images}/dead.png it is a link that leads nowhere" in text
    assert f"1 files hold 2 further pages or frames ({images}/pages.tif: 2)" in text


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
    with pytest.raises(DataError, match="none of the 1 images"):
        go(trained_run, tmp_path / "bad.png", out=tmp_path / "out.csv")
    assert not (tmp_path / "out.csv").exists()
    (tmp_path / "out.csv").write_text("precious")
    with pytest.raises(DataError, match=r"out.csv is there and was not written by classify"):
        go(trained_run, tmp_path / "bad.png", out=tmp_path / "out.csv")
    assert (tmp_path / "out.csv").read_text() == "precious"


def test_an_output_that_cannot_be_written(trained_run: Path, images: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(RunError, match="could not write"):
        go(trained_run, images, out=tmp_path / "file" / "out.csv")


def test_entropy_in_nats_and_the_hash_of_the_file(trained_run: Path, images: Path, tmp_path: Path) -> None:
    _, _, rows = go(trained_run, images, out=tmp_path / "out.csv")
    for row in rows:
        p = np.array([float(row[f"p({name})"]) for name in "0123456789"])
        assert float(row["entropy"]) == pytest.approx(-(p * np.log(np.maximum(p, 1e-300))).sum(), abs=2e-4)
        assert row["sha256"] == hashlib.sha256(Path(row["file"]).read_bytes()).hexdigest()
    assert list(rows[0])[:2] == ["file", "label"]
    assert list(rows[0])[-3:] == ["realness", "entropy", "sha256"]


class StopAfter:
    """Ctrl-C after so many batches."""

    signal_number = 2

    def __init__(self, batches: int) -> None:
        self.left = batches

    def __bool__(self) -> bool:
        self.left -= 1
        return self.left < 0


def test_a_stopped_run_ends_with_the_same_file_bit_for_bit(
    trained_run: Path, images: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for index, image in enumerate(load_digits().test.images[30:300], 30):
        Image.fromarray(image[0].numpy()).save(images / f"{index:03d}.png")
    go(trained_run, images, out=tmp_path / "whole.csv")
    with monkeypatch.context() as patch:
        patch.setattr(classify, "listen_for_signals", lambda: contextlib.nullcontext(StopAfter(20)))
        with pytest.raises(InterruptedRunError, match=r"stopped after 1\d\d of 300 images") as stopped:
            go(trained_run, images, out=tmp_path / "out.csv")
    assert stopped.value.signal_number == 2
    assert not (tmp_path / "out.csv").exists()
    judged = []
    monkeypatch.setattr(classify, "judge", lambda trained, batch: judged.extend(batch) or judge(trained, batch))
    _, text, _ = go(trained_run, images, out=tmp_path / "out.csv")
    assert "continuing: 128 images were done before" in text
    assert len(judged) == 300 - 128
    assert (tmp_path / "out.csv").read_bytes() == (tmp_path / "whole.csv").read_bytes()


def test_again_changed_added_removed(trained_run: Path, images: Path, tmp_path: Path) -> None:
    go(trained_run, images, out=tmp_path / "out.csv")
    before = (tmp_path / "out.csv").stat().st_mtime_ns
    _, text, _ = go(trained_run, images, out=tmp_path / "out.csv")
    assert "nothing to do" in text
    assert (tmp_path / "out.csv").stat().st_mtime_ns == before
    Image.fromarray(load_digits().test.images[40, 0].numpy()).save(images / "03.png")
    Image.fromarray(load_digits().test.images[41, 0].numpy()).save(images / "0new.png")
    (images / "05.png").unlink()
    _, text, rows = go(trained_run, images, out=tmp_path / "out.csv")
    assert "28 were done before, 1 had changed since, 1 were new" in text
    _, _, fresh = go(trained_run, images, out=tmp_path / "fresh.csv")
    assert rows == fresh
    _, text, _ = go(trained_run, images, out=tmp_path / "out.csv", fit=True)  # other options: nothing is taken over
    assert "done before" not in text


def test_an_archive_gives_what_its_folder_gives(trained_run: Path, images: Path, tmp_path: Path) -> None:
    _, _, rows = go(trained_run, images, out=tmp_path / "a.csv")
    packed = Path(shutil.make_archive(str(tmp_path / "packed"), "zip", images))
    _, _, same = go(trained_run, packed, out=tmp_path / "b.csv")
    for one, other in zip(rows, same, strict=True):
        assert other["file"] == one["file"].replace(str(images), str(packed))
        assert {**one, "file": ""} == {**other, "file": ""}


@pytest.mark.slow
def test_a_killed_process_loses_nothing_but_its_last_batch(trained_run: Path, tmp_path: Path) -> None:
    """SIGKILL while rows are being made; the same command then ends with the file of an uninterrupted run."""
    (tmp_path / "many").mkdir()
    for index in range(2000):
        pixels = np.random.default_rng(index).integers(0, 256, (8, 8), dtype=np.uint8)
        Image.fromarray(pixels).save(tmp_path / "many" / f"{index}.png")
    command = [sys.executable, "-m", "improved_gan", "classify", str(trained_run), str(tmp_path / "many"), "--workers",
               "1", "--device", "cpu", "--out", str(tmp_path / "out.csv")]  # fmt: skip
    process = subprocess.Popen(command, env={**os.environ, "OMP_NUM_THREADS": "1"}, stdout=subprocess.DEVNULL)
    part, deadline = tmp_path / "out.csv.part", time.monotonic() + 100
    while not (part.exists() and part.stat().st_size > 20_000) and time.monotonic() < deadline:
        assert process.poll() is None
        time.sleep(0.001)
    process.kill()
    process.wait()
    kept = part.read_bytes().count(b"\n") - 1
    assert 60 < kept < 2000
    _, text, _ = go(trained_run, tmp_path / "many", out=tmp_path / "out.csv")
    assert "continuing" in text
    go(trained_run, tmp_path / "many", out=tmp_path / "whole.csv")
    assert (tmp_path / "out.csv").read_bytes() == (tmp_path / "whole.csv").read_bytes()
