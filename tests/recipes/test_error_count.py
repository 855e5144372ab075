import pytest
import torch
from torch import nn

from improved_gan.data import LabeledImages
from improved_gan.networks import DiscriminatorOutput, ImageNetDiscriminator
from improved_gan.recipes.error_count import count_errors
from improved_gan.techniques import MinibatchDiscrimination


def test_a_discriminator_that_is_not_batch_independent_gets_batches_in_random_order() -> None:
    class CountsItsBatch(nn.Module):
        is_batch_independent = False

        def forward(self, images: torch.Tensor) -> DiscriminatorOutput:
            seen.append(len(images))
            bright = images.flatten(1).mean(1) > 0.5
            return DiscriminatorOutput(nn.functional.one_hot(bright.long(), 2).float(), images)

    seen: list[int] = []
    images = torch.zeros(25, 1, 2, 2, dtype=torch.uint8)
    images[:10] = 255
    data = LabeledImages(images, (torch.arange(25) < 10).long())
    assert count_errors(CountsItsBatch(), data, device=torch.device("cpu"), batch_size=10) == 0
    assert seen == [10, 10, 10]  # 5 rows twice in the last, counted once
    assert count_errors(CountsItsBatch(), LabeledImages(images, 1 - data.labels), device=torch.device("cpu")) == 25
    assert seen[3:] == [1000]


@pytest.mark.parametrize("num", [9, 1])
def test_a_last_batch_of_one_image_is_no_error_for_two_sided_features(num: int) -> None:
    torch.manual_seed(0)
    network = ImageNetDiscriminator((3, 32, 32), 3, width=2, minibatch=lambda size: MinibatchDiscrimination(size, 2, 2))
    images = torch.randint(0, 256, (num, 3, 32, 32), dtype=torch.uint8)
    arguments = {"device": torch.device("cpu"), "batch_size": 4}
    wrong = [count_errors(network, LabeledImages(images, torch.full((num,), label)), **arguments) for label in range(3)]
    assert sum(num - one for one in wrong) == num  # each image has exactly one predicted class


def test_counts_of_several_processes_add_up() -> None:
    class Bright(nn.Module):
        def forward(self, images: torch.Tensor) -> DiscriminatorOutput:
            return DiscriminatorOutput(
                nn.functional.one_hot((images.flatten(1).mean(1) > 0.5).long(), 2).float(), images
            )

    data = LabeledImages(
        torch.randint(0, 256, (2500, 1, 2, 2), generator=torch.Generator().manual_seed(0)).to(torch.uint8),
        torch.arange(2500) % 2,
    )
    arguments = {"device": torch.device("cpu"), "batch_size": 10}
    whole = count_errors(Bright(), data, **arguments)
    assert 0 < whole < 2500
    assert sum(count_errors(Bright(), data, **arguments, share=(number, 2)) for number in range(2)) == whole
