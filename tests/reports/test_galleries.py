import io
import math
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from rich.console import Console

from improved_gan.cli.sample import SampleOptions, sample
from improved_gan.data import DataError, Dataset, LabeledImages
from improved_gan.networks import DenseGenerator, Discriminator, DiscriminatorOutput, Generator
from improved_gan.reports.galleries import (
    BYTES,
    Block,
    Row,
    draw,
    draw_interpolation,
    generate,
    latent_path,
    linear,
    path_for,
    rows_by_class,
    spherical,
)
from improved_gan.runs import Run
from improved_gan.training import sampling
from improved_gan.training.errors import RunError


class Drawing(Generator):
    """Draws from what it is given; its image of a latent is the latent."""

    def __init__(self, draw) -> None:
        super().__init__()
        self.draw = draw

    def draw_latents(self, num, *, source=None):
        return self.draw(num, 60, generator=source)

    def forward(self, latents):
        return latents[:, None, None, :]


def test_a_straight_line_has_equal_steps_and_stays_in_the_box() -> None:
    start, end = torch.rand(2, 30)
    path = linear(start, end, 7)
    torch.testing.assert_close(path[[0, -1]], torch.stack([start, end]))
    torch.testing.assert_close(path.diff(dim=0), ((end - start) / 6).expand(6, -1))
    assert ((path >= 0) & (path <= 1)).all()


def test_an_arc_has_equal_angles_and_lengths_in_between() -> None:
    start, end = torch.randn(2, 100, dtype=torch.float64)
    path = spherical(start, end, 9)
    torch.testing.assert_close(path[[0, -1]], torch.stack([start, end]))
    unit = path / path.norm(dim=1, keepdim=True)
    angles = (unit[1:] * unit[:-1]).sum(1).arccos()
    torch.testing.assert_close(angles, angles[:1].expand(8))
    torch.testing.assert_close(path.norm(dim=1), torch.linspace(start.norm(), end.norm(), 9, dtype=torch.float64))
    straight = linear(start, end, 9)[4].norm()
    assert straight < 0.85 * path[4].norm()  # what the arc is for


@pytest.mark.parametrize("end", [(2.0, 0.0), (-1.0, 0.0), (0.0, 0.0)])
def test_directions_without_an_arc_are_joined_straight(end: tuple[float, float]) -> None:
    start, other = torch.tensor([1.0, 0.0]), torch.tensor(end)
    torch.testing.assert_close(spherical(start, other, 5), linear(start, other, 5))


@pytest.mark.parametrize(
    ("draw", "path"),
    [
        (torch.rand, "linear"),
        (lambda *shape, generator: 2 * torch.rand(*shape, generator=generator) - 1, "linear"),
        (torch.randn, "spherical"),
        (lambda *shape, generator: 5 + 3 * torch.randn(*shape, generator=generator), "spherical"),
    ],
)
def test_the_path_fits_the_latents(draw, path: str) -> None:
    assert path_for(Drawing(draw)) == path


@pytest.mark.parametrize("path", ["linear", "spherical"])
def test_walks_join_and_come_back(path: str) -> None:
    generator = Drawing(torch.randn)
    path = latent_path(generator, path=path, num_paths=4, steps=6, seed=3).view(4, 6, -1)
    drawn = generator.draw_latents(4, source=torch.Generator().manual_seed(3))
    torch.testing.assert_close(path[:, 0], drawn)
    torch.testing.assert_close(path[:, -1], drawn.roll(-1, 0))


def test_the_images_of_a_walk_are_the_generators_and_its_mode_stays() -> None:
    generator = DenseGenerator((1, 8, 8), latent_size=5, hidden=(16,))
    latents = generator.draw_latents(70, source=torch.Generator().manual_seed(0))
    found = generate(generator, latents, device="cpu")
    assert (found == sampling.sample(generator, 70, seed=0)).all()
    assert generator.training
    assert math.prod(found.shape) == 70 * 64


class ByBrightness(Discriminator):
    """Class k for a mean gray of k/10 to (k + 1)/10; with one logit only where `classes` is 1."""

    def __init__(self, classes: int) -> None:
        super().__init__()
        self.classes = classes

    def forward(self, images):
        level = (images.flatten(1).mean(1) * 10).floor().clamp(max=self.classes - 1)
        logits = -(level[:, None] - torch.arange(self.classes)).square()
        return DiscriminatorOutput(logits if self.classes > 1 else logits[:, 0], logits)


def flat(*levels: int) -> torch.Tensor:
    return torch.tensor(levels, dtype=torch.uint8).view(-1, 1, 1, 1).expand(-1, 1, 4, 4).contiguous()


def data(levels: list[int], labels: list[int], classes: int = 3) -> Dataset:
    part = LabeledImages(flat(*levels), torch.tensor(labels))
    return Dataset("flat", tuple("abcdefghijklmnopqrstuvwxyzABCDEFG"[:classes]), part, part)


def test_each_class_has_its_samples_beside_real_images_of_the_class() -> None:
    found = rows_by_class(flat(5, 30, 40, 10), ByBrightness(3), data([0, 8, 33, 60], [0, 0, 1, 0]), device="cpu")
    assert [row.name for row in found] == ["a", "b", "c"]
    assert [block.sample[0, 0, 0].item() for block in found[0].blocks] == [5, 10]
    assert [block.real[:, 0, 0, 0].tolist() for block in found[0].blocks] == [[8, 0, 60], [8, 0, 60]]
    assert [block.real[:, 0, 0, 0].tolist() for block in found[1].blocks] == [[33], [33]]
    assert found[2].blocks == ()


def test_a_class_without_real_images_takes_the_nearest_of_all() -> None:
    found = rows_by_class(flat(30), ByBrightness(3), data([0, 9, 60], [0, 0, 0]), device="cpu")
    assert found[1].blocks[0].real[:, 0, 0, 0].tolist() == [9, 0, 60] or found[1].blocks[0].real[0, 0, 0, 0] in (9, 60)
    assert len(found[1].blocks[0].real) == 3


def test_without_classes_samples_stand_beside_the_nearest_of_all() -> None:
    for judge in (None, ByBrightness(1)):
        found = rows_by_class(flat(*range(0, 250, 5)), judge, data([0, 100, 200], [0, 1, 2]), device="cpu")
        assert {row.name for row in found} == {""}
        assert sum(len(row.blocks) for row in found) == 40
        assert found[0].blocks[0].real[:, 0, 0, 0].tolist() == [0, 100, 200]


def test_many_classes_show_the_25_that_are_given_most_often() -> None:
    judge = ByBrightness(33)
    judge.forward = lambda images: DiscriminatorOutput(
        -((images.flatten(1).mean(1) * 255)[:, None] - torch.arange(33)).square(), images
    )
    found = rows_by_class(flat(*range(8, 33)), judge, data([0], [0], classes=33), device="cpu")
    assert [row.name for row in found] == list("abcdefghijklmnopqrstuvwxyzABCDEFG"[8:])


def test_the_picture_holds_the_tiles_and_stays_small() -> None:
    blocks = tuple(Block(image, torch.stack([image, 255 - image])) for image in flat(200, 90))
    with Image.open(io.BytesIO(draw([Row("x", blocks), Row("y", ())], (1, 4, 4)))) as picture:
        pixels = np.array(picture)
    assert (pixels == 200).sum() >= 2 * 64 * 64
    assert (pixels == 55).sum() >= 64 * 64
    noise = torch.randint(256, (4, 3, 128, 128), dtype=torch.uint8)
    rows = [Row(str(k), tuple(Block(one, noise) for one in noise)) for k in range(10)]
    assert len(draw(rows, (3, 128, 128))) <= BYTES


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
    trained = Run(small_runs["first"]).load(warn=pytest.fail, trust=True)
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
