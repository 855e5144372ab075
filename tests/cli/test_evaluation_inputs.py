import io
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from rich.console import Console

from improved_gan.cli.evaluation_inputs import (
    open_evaluation_images,
    value_range_of,
)
from improved_gan.data.value_range import ValueRange
from improved_gan.embeddings.networks import choose_network
from improved_gan.metrics.evaluation_images import range_warnings, with_value_range
from improved_gan.runs import Run
from tests.pictures import folder_of, quick_network
from tests.runs.made import settings_of
from tests.tiffs import tiff

CONSOLE = Console(file=io.StringIO())


def test_a_run_stands_in_and_judges_its_own_samples(trained_run: Path) -> None:
    network = choose_network(str(trained_run))
    assert (network.channels, network.size) == (1, (8, 8))
    assert network.name.startswith("digits classifier of this library, step ")
    images = open_evaluation_images(trained_run, network, num=40, seed=3, device="cpu", console=CONSOLE)
    items = [(name, read()) for name, read in images]
    assert [name for name, _ in items] == [f"sample {i}" for i in range(40)]
    assert items == [(name, read()) for name, read in images]
    pixels, conversions = images.decode(items[33][1])
    assert (pixels.shape, pixels.dtype, conversions) == ((1, 8, 8), torch.uint8, ())
    outputs = network.run(torch.stack([pixels, pixels]))
    assert outputs.logits.shape == (2, 10)
    other = open_evaluation_images(trained_run, network, num=40, seed=4, device="cpu", console=CONSOLE)
    assert [read() for _, read in other] != [content for _, content in items]


def test_samples_of_a_run_in_color_for_inception(trained_run: Path) -> None:
    images = open_evaluation_images(trained_run, quick_network(), num=2, seed=0, device="cpu", console=CONSOLE)
    (_, read), _ = images
    pixels, _ = images.decode(read())
    assert pixels.shape == (3, 8, 8)
    assert pixels[0].equal(pixels[2])
    small = open_evaluation_images(
        trained_run, replace(quick_network(), size=(9, 9)), num=2, seed=0, device="cpu", console=CONSOLE
    )
    pixels, conversions = small.decode(read())
    assert (pixels.shape, conversions) == ((3, 9, 9), ("scaled to 9 x 9 (bicubic)",))


def test_what_is_left_out_of_a_folder_is_said(tmp_path: Path) -> None:
    (folder_of(tmp_path / "a", 2) / "x.HEIC").touch()
    (tmp_path / "a" / "empty").mkdir()
    screen = io.StringIO()
    console = Console(file=screen, width=500)
    open_evaluation_images(tmp_path / "a", quick_network(), num=None, seed=0, device="cpu", console=console)
    assert f"warning: {tmp_path / 'a'}: left out: 1 file not read as images (1 .heic)" in screen.getvalue()
    assert "no image is in 1 folder: empty" in screen.getvalue()


def test_a_value_range_reaches_pictures_features_and_warnings(tmp_path: Path) -> None:
    (tmp_path / "deep").mkdir()
    numbers = np.random.default_rng(0).integers(0, 4096, (6, 20, 20)).astype(np.uint16)
    for place, image in enumerate(numbers):
        (tmp_path / "deep" / f"{place}.tif").write_bytes(tiff(image))
    network, values = quick_network(), value_range_of("0:4095")
    words = {"num": None, "seed": 0, "device": "cpu", "console": CONSOLE}
    plain = open_evaluation_images(tmp_path / "deep", network, **words)  # type: ignore[arg-type]
    ranged = open_evaluation_images(tmp_path / "deep", network, values=values, **words)  # type: ignore[arg-type]
    content = (tmp_path / "deep" / "0.tif").read_bytes()
    assert plain.decode(content)[0].max() <= 16
    assert ranged.decode(content)[0].max() > 250
    (warning,) = range_warnings(plain, None)
    assert "gray levels 0 to 16" in warning
    assert "--value-range 0:4095" in warning
    assert range_warnings(ranged, values) == []
    assert with_value_range(network, values).identity != with_value_range(network, None).identity == network.identity


def test_the_range_of_the_first_run_that_has_one(tmp_path: Path, trained_run: Path) -> None:
    assert value_range_of(None, trained_run, tmp_path) is None
    run = tmp_path / "run"
    Run(run).begin(settings_of(value_range=[0, 4095]))
    assert value_range_of(None, tmp_path, trained_run, run) == ValueRange(0, 4095)
    assert value_range_of("7:9", run) == ValueRange(7, 9)
