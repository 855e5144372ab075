"""Every example runs for a few steps without a warning and stays short; each technique has one."""

import csv
import io
import re
import runpy
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from rich.console import Console

from improved_gan.cli.classification import ClassifyOptions, run_classification
from improved_gan.cli.export import ExportOptions, export
from improved_gan.cli.sample import SampleOptions, sample
from improved_gan.data.images import center_crop_resize
from improved_gan.data.value_range import ValueRange

ROOT = Path(__file__).parent.parent
EXAMPLES = sorted((ROOT / "examples").glob("dcgan*.py"))
AFTER_THE_PAPER = ("image_deformation_model", "label_spreading", "random_elastic_affine", "virtual_adversarial")
TECHNIQUES = [path.stem for path in (ROOT / "src" / "improved_gan" / "techniques").glob("[a-z]*.py")]


def test_every_technique_has_an_example() -> None:
    assert [path.stem for path in EXAMPLES] == [
        "dcgan",
        *(f"dcgan_{name}" for name in sorted([*TECHNIQUES, *AFTER_THE_PAPER])),
    ]


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_example_runs_and_writes_an_image(
    path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.syspath_prepend(path.parent)
    monkeypatch.setattr(sys, "argv", [path.name, "--steps", "5", "--out", str(tmp_path / "grid.png")])
    runpy.run_path(str(path), run_name="__main__")
    assert re.search(r"step +5 +discriminator \d", capsys.readouterr().out)
    assert (tmp_path / "grid.png").read_bytes().startswith(b"\x89PNG")


def test_example_runs_as_its_docstring_says(tmp_path: Path) -> None:
    line = next(line for line in EXAMPLES[0].read_text().splitlines() if line.startswith("python examples/"))
    arguments = line.replace("600", "2").replace("dcgan.png", str(tmp_path / "grid.png")).split()
    subprocess.run([sys.executable, *arguments[1:]], check=True, cwd=ROOT)
    assert (tmp_path / "grid.png").exists()


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_example_is_short(path: Path) -> None:
    lines = [line for line in path.read_text().splitlines() if line.strip()]
    assert len(lines) <= {"dcgan": 70}.get(path.stem, 40)


@pytest.mark.parametrize("kind", ["RGB", "RGBA", "turned", "large"])
def test_the_onnx_example_reads_images_as_train_folder_does(kind: str, tmp_path: Path) -> None:
    read = runpy.run_path(str(ROOT / "examples" / "run_onnx.py"))["read"]
    size, suffix = ((48, 32), "png") if kind != "large" else ((480, 320), "jpg")
    noise = np.random.default_rng(0).integers(0, 256, (size[1], size[0], 4 if kind == "RGBA" else 3), dtype=np.uint8)
    exif = Image.Exif()
    exif[0x0112] = 6 if kind == "turned" else 1
    Image.fromarray(noise).save(tmp_path / f"x.{suffix}", exif=exif)
    content = (tmp_path / f"x.{suffix}").read_bytes()
    expected = center_crop_resize(content, "x", channels=3, size=32).permute(1, 2, 0).numpy()
    np.testing.assert_array_equal(read(tmp_path / f"x.{suffix}", 32, 32, 3, crop=True), expected)


@pytest.mark.parametrize(("kind", "values"), [("uint16", None), ("uint16", (0, 4095)), ("float32", (-5, 5000.5))])
def test_the_onnx_example_reads_deep_images_as_train_folder_does(
    kind: str, values: tuple[float, float] | None, tmp_path: Path
) -> None:
    read = runpy.run_path(str(ROOT / "examples" / "run_onnx.py"))["read"]
    numbers = np.random.default_rng(0).integers(0, 4096, (40, 50)).astype(kind)
    Image.fromarray(numbers).save(tmp_path / "x.tif")
    wanted = None if values is None else ValueRange(*values)
    content = (tmp_path / "x.tif").read_bytes()
    expected = center_crop_resize(content, "x", channels=3, size=32, values=wanted).permute(1, 2, 0).numpy()
    on_card = None if values is None else {"low": values[0], "high": values[1]}
    np.testing.assert_array_equal(read(tmp_path / "x.tif", 32, 32, 3, crop=True, values=on_card), expected)
    if values is not None:
        Image.new("L", (40, 50)).save(tmp_path / "y.png")
        with pytest.raises(SystemExit, match="8 bits"):
            read(tmp_path / "y.png", 32, 32, 3, crop=True, values=on_card)


def test_an_exported_classifier_runs_without_our_package_or_torch(trained_run: Path, tmp_path: Path) -> None:
    """`examples/run_onnx.py` in a process that can import neither gives the output of `classify`."""
    pytest.importorskip("onnxruntime")
    console = Console(file=io.StringIO())
    sample(SampleOptions(trained_run, tmp_path / "samples", num=5, device="cpu"), console)
    images = sorted((tmp_path / "samples" / "images").iterdir())
    run_classification(ClassifyOptions(trained_run, images, out=tmp_path / "p.csv", device="cpu"), console)
    export(ExportOptions(trained_run, tmp_path / "x.onnx"), console)
    script = "import runpy, sys; sys.modules.update(torch=None, improved_gan=None); del sys.argv[0]; "
    command = [sys.executable, "-c", f"{script}runpy.run_path(sys.argv[0], run_name='__main__')"]
    example = ROOT / "examples" / "run_onnx.py"
    done = subprocess.run([*command, example, tmp_path / "x.onnx", *images], capture_output=True, text=True, check=True)
    rows = list(csv.DictReader(io.StringIO((tmp_path / "p.csv").read_text())))
    assert len(rows) == 5
    for line, row in zip(done.stdout.splitlines(), rows, strict=True):
        file, label, percent, real_score = re.fullmatch(r"(.*): (\w+) \((.*)%\), real_score (.*)%", line).groups()
        assert (file, label) == (row["file"], row["label"])
        assert float(percent) == pytest.approx(100 * float(row[f"p({label})"]), abs=0.06)
        assert float(real_score) == pytest.approx(100 * float(row["real_score"]), abs=0.06)
    assert sum(bool(line.strip()) for line in example.read_text().splitlines()) <= 55
