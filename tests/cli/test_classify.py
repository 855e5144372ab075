import contextlib
import csv
import hashlib
import io
import json
import shutil
import time
from pathlib import Path

import click
import numpy as np
import pytest
import torch
from PIL import Image
from rich.console import Console

from improved_gan.active_learning import classification
from improved_gan.active_learning.classification import classify_batch, decoder_of
from improved_gan.active_learning.predictions import Finished
from improved_gan.cli import classify as command
from improved_gan.cli.classify import ClassifyOptions, _print_single, classify, classify_images
from improved_gan.data import DataError, load_digits
from improved_gan.data.value_range import ValueRange
from improved_gan.runs import Run
from improved_gan.training.errors import InterruptedRunError, RunError
from tests.command_line import start


@pytest.fixture
def images(tmp_path: Path) -> Path:
    """The first 30 test digits as PNG files."""
    folder = tmp_path / "images"
    folder.mkdir()
    for index, image in enumerate(load_digits().test.images[:30]):
        Image.fromarray(image[0].numpy()).save(folder / f"{index:02d}.png")
    return folder


def go(run: Path, *paths: Path, out: Path, resize: bool = False) -> tuple[int, str, list[dict[str, str]]]:
    screen = io.StringIO()
    console = Console(file=screen, width=200)
    failures = classify_images(ClassifyOptions(run, tuple(paths), out=out, resize=resize), console)
    return failures, screen.getvalue(), list(csv.DictReader(io.StringIO(out.read_text())))


def test_rows_hold_label_probabilities_and_real_score(trained_run: Path, images: Path, tmp_path: Path) -> None:
    failures, text, rows = go(trained_run, images, out=tmp_path / "new" / "out.csv")
    assert failures == 0
    assert "30 images classified" in text
    trained = Run(trained_run).load(warn=pytest.fail)
    with torch.no_grad():
        logits = trained.discriminator(load_digits().test.images[:30] / 255).logits.double().numpy()
    full = np.concatenate([logits, np.zeros((30, 1))], axis=1)
    full = np.exp(full) / np.exp(full).sum(1, keepdims=True)
    for index, row in enumerate(rows):
        assert row["file"].endswith(f"{index:02d}.png")
        probabilities = np.array([float(row[f"p({name})"]) for name in "0123456789"])
        np.testing.assert_allclose(probabilities, full[index, :10] / full[index, :10].sum(), atol=2e-6)
        assert row["label"] == str(probabilities.argmax())
        assert float(row["real_score"]) == pytest.approx(1 - full[index, 10], abs=2e-6)


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
    failures, _, rows = go(trained_run, images, out=tmp_path / "out.csv", resize=True)
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
    with pytest.raises(DataError, match=r"out.csv exists and was not written by classify"):
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
    assert list(rows[0])[-3:] == ["real_score", "entropy", "sha256"]


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
        patch.setattr(classification, "catch_signals", lambda: contextlib.nullcontext(StopAfter(20)))
        with pytest.raises(InterruptedRunError, match=r"stopped after 1\d\d of 300 images") as stopped:
            go(trained_run, images, out=tmp_path / "out.csv")
    assert stopped.value.signal_number == 2
    assert not (tmp_path / "out.csv").exists()
    classified_again = []
    monkeypatch.setattr(
        classification,
        "classify_batch",
        lambda trained, batch: classified_again.extend(batch) or classify_batch(trained, batch),
    )
    _, text, _ = go(trained_run, images, out=tmp_path / "out.csv")
    assert "continuing: 128 images were classified before" in text
    assert len(classified_again) == 300 - 128
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
    assert "28 of these were classified before, 1 have changed since, 1 are new" in text
    _, _, fresh = go(trained_run, images, out=tmp_path / "fresh.csv")
    assert rows == fresh
    _, text, _ = go(trained_run, images, out=tmp_path / "out.csv", resize=True)  # other options: nothing is taken over
    assert "classified before" not in text


def test_an_archive_gives_what_its_folder_gives(trained_run: Path, images: Path, tmp_path: Path) -> None:
    _, _, rows = go(trained_run, images, out=tmp_path / "a.csv")
    packed = Path(shutil.make_archive(str(tmp_path / "packed"), "zip", images))
    _, _, same = go(trained_run, packed, out=tmp_path / "b.csv")
    for one, other in zip(rows, same, strict=True):
        assert other["file"] == one["file"].replace(str(images), str(packed))
        assert {**one, "file": ""} == {**other, "file": ""}


@pytest.mark.parametrize(("cores", "asked", "workers"), [(2, None, 2), (64, None, 4), (64, 9, 9)])
def test_at_most_four_threads_decode_unless_asked(
    trained_run: Path, images: Path, monkeypatch: pytest.MonkeyPatch, cores: int, asked: int | None, workers: int
) -> None:
    run, seen = classification.Classification.run, []

    def watched(work: classification.Classification, num: int) -> Finished:
        seen.append(num)
        return run(work, num)

    monkeypatch.setattr(classification.Classification, "run", watched)
    monkeypatch.setattr("improved_gan.data.ordered_map.num_cores", lambda: cores)
    classified(trained_run, images, num_workers=asked)
    assert seen == [workers]


@pytest.mark.slow
def test_a_killed_process_loses_nothing_but_its_last_batch(trained_run: Path, tmp_path: Path) -> None:
    """SIGKILL while rows are being made; the same command then ends with the file of an uninterrupted run."""
    (tmp_path / "many").mkdir()
    for index in range(2000):
        pixels = np.random.default_rng(index).integers(0, 256, (8, 8), dtype=np.uint8)
        Image.fromarray(pixels).save(tmp_path / "many" / f"{index}.png")
    options = ["--num-workers", "1", "--device", "cpu", "--out", tmp_path / "out.csv"]
    process = start("classify", trained_run, tmp_path / "many", *options)
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


def classified(run: Path, *paths: Path, **options: object) -> str:
    screen = io.StringIO()
    console = Console(file=screen, width=200)
    classify_images(ClassifyOptions(run, tuple(paths), **options), console)  # type: ignore[arg-type]
    return screen.getvalue()


def test_one_image_prints_its_label_and_probability(trained_run: Path, images: Path, tmp_path: Path) -> None:
    _, _, rows = go(trained_run, images, out=tmp_path / "out.csv")
    before = set(tmp_path.iterdir())
    text = classified(trained_run, images / "03.png", images / "04.png")
    for row in rows[3:5]:
        probability = float(row[f"p({row['label']})"])
        assert f"{row['file']}: {row['label']}, probability {probability:.1%} (then " in text
    assert "nothing was written" in text
    assert set(tmp_path.iterdir()) == before


def test_class_folders_give_the_error_and_its_interval(trained_run: Path, tmp_path: Path) -> None:
    data = load_digits().test
    for index, (image, label) in enumerate(zip(data.images[:40], data.labels[:40].tolist(), strict=True)):
        folder = tmp_path / "holdout" / str(label)
        folder.mkdir(parents=True, exist_ok=True)
        Image.fromarray(image[0].numpy()).save(folder / f"{index:02d}.png")
    trained = Run(trained_run).load(warn=pytest.fail)
    with torch.no_grad():
        given = trained.discriminator(data.images[:40] / 255).logits.argmax(1)
    wrong = int((given != data.labels[:40]).sum())
    text = classified(trained_run, tmp_path / "holdout", json=tmp_path / "new" / "accuracy.json")
    assert f"error {wrong / 40:.2%}: {wrong} of 40 images wrong (class folders), 95% interval" in text
    found = json.loads((tmp_path / "new" / "accuracy.json").read_text())
    assert (found["images"], found["wrong"], found["step"]) == (40, wrong, trained.step)
    assert np.trace(found["confusion"]) == 40 - wrong
    labels = tmp_path / "labels.csv"
    labels.write_text("file,label\n" + "".join(f"{one.parent.name}/{one.name},{one.parent.name}\n"
                      for one in sorted((tmp_path / "holdout").rglob("*.png"))[:10]))  # fmt: skip
    assert "of 10 images wrong (labels file" in classified(trained_run, tmp_path / "holdout", labels=labels)
    digest = hashlib.sha256(next((tmp_path / "holdout").rglob("00.png")).read_bytes()).hexdigest()
    run = shutil.copytree(trained_run, tmp_path / "run")
    (run / "images.csv").write_text(f"file,part,label,sha256\nx.png,train,0,{digest}\n")
    text = classified(run, tmp_path / "holdout")
    assert "1 images with a known class are training images of this run: not counted" in text
    assert "of 39 images wrong" in text


def test_json_without_known_classes_is_refused(trained_run: Path, images: Path, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no true class is known: name folders after classes of the run"):
        classified(trained_run, images, json=tmp_path / "a.json")


def test_twelve_bits_give_a_warning_and_a_value_range_remedies_it(
    trained_run: Path, images: Path, tmp_path: Path
) -> None:
    (tmp_path / "deep").mkdir()
    for file in sorted(images.iterdir()):
        Image.fromarray(np.asarray(Image.open(file)).astype(np.uint16) * 16).save(tmp_path / "deep" / file.name)
    _, _, plain = go(trained_run, images, out=tmp_path / "plain.csv")
    text = classified(trained_run, tmp_path / "deep", out=tmp_path / "dark.csv", resize=True)
    assert "warning: the images use gray levels 0 to 16 of 0 to 255" in text
    assert "--value-range 0:4095" in text
    whole = classified(trained_run, tmp_path / "deep", out=tmp_path / "dark.csv", resize=True, value_range="0:4080")
    assert "warning" not in whole
    with (tmp_path / "dark.csv").open() as file:
        columns = [f"p({digit})" for digit in range(10)]
        for one, other in zip(csv.DictReader(file), plain, strict=True):
            assert [one[name] for name in columns] == [other[name] for name in columns]
    with pytest.raises(RunError, match=r"--value-range 0:4080 converts images, .* with --resize"):
        classified(trained_run, tmp_path / "deep", value_range="0:4080")


def test_a_run_brings_its_value_range(trained_run: Path, images: Path, tmp_path: Path) -> None:
    own = Run(trained_run).load(warn=pytest.fail)
    own.run.settings["recipe"] = "folder"
    content = io.BytesIO()
    Image.fromarray(np.full((8, 8), 2000, np.uint16)).save(content, "TIFF")
    decode = decoder_of(own, resize=False, invert=False, values=ValueRange(0, 4000))
    assert decode("x.tif", content.getvalue()).unique().tolist() == [128]


def test_bad_images_show_in_the_exit_code(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(command, "classify_images", lambda options, console: 3 * options.invert)
    for invert in (False, True):
        assert classify(ClassifyOptions(Path("run"), (Path("a"),), invert=invert), Console()) == invert


def test_options_of_the_page_without_a_page() -> None:
    with pytest.raises(click.BadParameter, match="needs --annotate"):
        ClassifyOptions(Path("run"), (Path("a"),), Path("o.csv"), diversity=True)
    with pytest.raises(click.BadParameter, match="give --out CSV"):
        ClassifyOptions(Path("run"), (Path("a"),), annotate=5)


def test_only_images_that_were_named_are_printed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("a[b].png", "c.png"):
        Image.fromarray(np.zeros((4, 4), np.uint8)).save(tmp_path / name)
    file = tmp_path / "p.csv"
    file.write_text(
        "file,label,p(cat),p(dog),p(cow),p(hen),real_score,entropy,sha256\n"
        f"{tmp_path}/a[b].png,dog,0.1,0.6,0.25,0.05,0.9,1,x\n{tmp_path}/c.png,cat,1,0,0,0,1,0,x\n"
    )
    screen = io.StringIO()
    _print_single([tmp_path / "a[b].png"], file, Console(file=screen, width=300))
    assert screen.getvalue() == f"{tmp_path}/a[b].png: dog, probability 60.0% (then cow 25.0%, cat 10.0%)\n"
    monkeypatch.chdir(tmp_path)
    again = io.StringIO()
    _print_single([tmp_path, Path("a[b].png")], file, Console(file=again, width=300))  # the folder gave it its name
    assert again.getvalue() == screen.getvalue()
