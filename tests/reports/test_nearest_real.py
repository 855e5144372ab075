import io

import numpy as np
import torch
from PIL import Image

from improved_gan.data import Dataset, LabeledImages
from improved_gan.networks import Discriminator, DiscriminatorOutput
from improved_gan.reports.nearest_real import BYTES, Block, Row, draw, rows_by_class


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
