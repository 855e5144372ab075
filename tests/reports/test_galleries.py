import io
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from rich.console import Console

from improved_gan.cli.sample import SampleOptions, sample
from improved_gan.data import DataError
from improved_gan.recipes.load_run import load_trained
from improved_gan.reports.galleries import draw_interpolation
from improved_gan.reports.latent_interpolation import generate, latent_path
from improved_gan.training.errors import RunError


def go(run: Path, out: Path, *, num: int | None = None, seed: int = 0, **words: object) -> str:
    screen = io.StringIO()
    console = Console(file=screen, width=300)
    sample(SampleOptions(run, out, num, seed, device="cpu", trust=True, **words), console)  # type: ignore[arg-type]
    return screen.getvalue()


def contents(folder: Path) -> dict[str, bytes]:
    return {file.name: file.read_bytes() for file in sorted(folder.iterdir())}


def test_all_galleries_are_the_same_for_a_seed_and_small(small_runs: dict[str, Path], tmp_path: Path) -> None:
    said = go(small_runs["first"], tmp_path / "a", seed=1, interpolation=True, training_gif=True, nearest_real=True)
    go(small_runs["first"], tmp_path / "b", seed=1, interpolation=True, training_gif=True, nearest_real=True)
    first = contents(tmp_path / "a")
    assert list(first) == ["interpolation.gif", "interpolation.png", "nearest.png", "training.gif", "training.png"]
    assert first == contents(tmp_path / "b")
    assert all(len(one) <= (6e6 if name.endswith(".gif") else 2e6) for name, one in first.items())
    assert "linear interpolations between latents" in said
    assert "4 grids, epoch 1 to 4" in said
    assert "nearest real images of their class" in said


def test_the_interpolation_shows_samples_of_the_generator(small_runs: dict[str, Path], tmp_path: Path) -> None:
    trained = load_trained(small_runs["first"], warn=pytest.fail, trust=True)
    for path in ("linear", "spherical"):
        draw_interpolation(trained, tmp_path / path, path=path, seed=5)
        latents = latent_path(trained.generator, path=path, num_paths=8, steps=10, seed=5)
        images = generate(trained.generator, latents, device="cpu")
        with Image.open(tmp_path / path / "interpolation.png") as picture:
            pixels = np.array(picture)
        assert pixels.shape == (8 * 66 - 2, 10 * 66 - 2)
        assert (pixels[66 : 66 + 64 : 8, 132 : 132 + 64 : 8] == images[12, 0].numpy()).all()


def test_single_images_are_written_with_galleries_if_asked_for(small_runs: dict[str, Path], tmp_path: Path) -> None:
    go(small_runs["pictures"], tmp_path / "out", num=5, nearest_real=True)
    assert sorted(entry.name for entry in (tmp_path / "out").iterdir()) == ["grid.png", "images", "nearest.png"]
    assert len(list((tmp_path / "out" / "images").iterdir())) == 5


def test_the_training_gif_needs_no_checkpoint(small_runs: dict[str, Path], tmp_path: Path) -> None:
    run = Path(shutil.copytree(small_runs["first"], tmp_path / "run"))
    shutil.rmtree(run / "checkpoints")
    go(run, tmp_path / "out", training_gif=True)
    assert sorted(contents(tmp_path / "out")) == ["training.gif", "training.png"]


@pytest.mark.parametrize(
    ("words", "error", "message"),
    [
        ({"training_gif": True}, RunError, "has no samples yet"),
        ({"nearest_real": True, "data": Path("/nowhere")}, Exception, "need no --data"),
        ({"training_gif": True, "data": Path("x")}, RunError, "--data is used by --nearest-real only"),
        ({"training_gif": True, "path": "linear"}, RunError, "--path is used by --interpolation only"),
        (
            {"interpolation": True, "path": "round"},
            RunError,
            "no path 'round' between latents: take one of auto, linear",
        ),
    ],
)
def test_bad_input_is_reported_before_anything_is_written(
    small_runs: dict[str, Path], tmp_path: Path, words: dict, error: type[Exception], message: str
) -> None:
    run = Path(shutil.copytree(small_runs["first"], tmp_path / "run"))
    shutil.rmtree(run / "samples")
    with pytest.raises(error, match=message):
        go(run, tmp_path / "out", num=3, **words)
    assert not (tmp_path / "out").exists()


def test_other_data_is_refused(small_runs: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise DataError("not the run's")

    monkeypatch.setattr("improved_gan.reports.evaluate_run.find_data", refuse)
    with pytest.raises(DataError, match="not the run's"):
        go(small_runs["first"], tmp_path / "out", nearest_real=True)
