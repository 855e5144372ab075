import numpy as np
import pytest
import torch

from improved_gan.metrics.tensorflow_resize import resize


def oracle(image: np.ndarray, height: int, width: int) -> np.ndarray:
    """One pixel at a time, in float64."""
    out = np.zeros((height, width))
    for i in range(height):
        for j in range(width):
            y, x = i * image.shape[0] / height, j * image.shape[1] / width
            top, left = int(y), int(x)
            bottom, right = min(top + 1, image.shape[0] - 1), min(left + 1, image.shape[1] - 1)
            upper = image[top, left] + (image[top, right] - image[top, left]) * (x - left)
            lower = image[bottom, left] + (image[bottom, right] - image[bottom, left]) * (x - left)
            out[i, j] = upper + (lower - upper) * (y - top)
    return out


@pytest.mark.parametrize("shape", [(8, 8), (5, 13), (40, 31), (97, 12), (1, 1)])
def test_each_pixel(shape: tuple[int, int]) -> None:
    image = torch.randint(0, 256, shape, dtype=torch.uint8)
    np.testing.assert_allclose(resize(image, (29, 17)), oracle(image.numpy().astype(float), 29, 17), atol=1e-3)


def test_the_same_size_and_batches_are_left_alone() -> None:
    images = torch.randint(0, 256, (2, 3, 9, 7), dtype=torch.uint8)
    assert resize(images, (9, 7)).equal(images.float())
    assert resize(images, (20, 30))[1, 2].equal(resize(images[1, 2], (20, 30)))
