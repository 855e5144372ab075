from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from improved_gan.data.image_sources import open_images
from improved_gan.data.images import decode_image
from improved_gan.metrics import MetricError
from improved_gan.metrics.evaluation_images import EvaluationImages, array_decoder, array_images, check_precision
from improved_gan.metrics.inception import Outputs
from improved_gan.metrics.network import ScoringNetwork
from tests.pictures import color_logits, folder_of, quick_network


def of_folder(folder: Path, network: ScoringNetwork) -> EvaluationImages:
    source = open_images(folder)
    decode = lambda content: decode_image(content, "", channels=network.channels)  # noqa: E731
    return EvaluationImages(str(folder), source.names, source.stream, decode, files=True)


def test_a_part_of_the_pictures(tmp_path: Path) -> None:
    folder = folder_of(tmp_path / "a", 6)
    part = of_folder(folder, quick_network()).only({4, 1})
    assert [name for name, _ in part] == list(part.names) == ["001.png", "004.png"]
    assert [name for name, _ in part] == ["001.png", "004.png"]  # again


@pytest.mark.parametrize(("noise", "taken"), [(1e-6, "bfloat16"), (3.0, "float32")])
def test_bfloat16_is_taken_only_where_the_score_stays(tmp_path: Path, noise: float, taken: str) -> None:
    def run(images: torch.Tensor) -> Outputs:
        features, logits = color_logits(images)
        return Outputs(features, logits + noise * torch.randn_like(logits))

    folder = folder_of(tmp_path / "a", 40)
    (folder / "000.png").write_bytes(b"bad")
    rounded = replace(quick_network(), precision="bfloat16", run=run)
    images = of_folder(folder, rounded)
    network, warnings = check_precision(rounded, quick_network, images)
    assert network.precision == taken
    assert [("of the first 39 images" in text) for text in warnings] == ([True] if taken == "float32" else [])


def test_rows_of_an_array_are_images_one_by_one() -> None:
    images = torch.randint(0, 256, (5, 3, 4, 6), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    found = array_images(Path("a.npy"), images.permute(0, 2, 3, 1).contiguous().permute(0, 3, 1, 2), quick_network())
    assert [name for name, _ in found] == [f"row {i}" for i in range(5)]
    for (_, read), image in zip(found, images, strict=True):
        assert found.decode(read())[0].equal(image)
    contents = [read() for _, read in found]
    drawn = found.drawn(3)
    assert [contents[found.names.index(name)] for name in drawn.names] == [read() for _, read in drawn]
    assert len(set(drawn.names)) == 3
    with pytest.raises(MetricError, match=r"--num 6 is more than the 5 images in a\.npy"):
        found.drawn(6)


def test_an_array_gets_the_size_and_channels_that_the_network_takes() -> None:
    gray = np.random.default_rng(0).integers(0, 256, (4, 6), dtype=np.uint8)
    image, done = array_decoder((1, 4, 6), replace(quick_network(), size=(8, 10)))(gray.tobytes())
    expected = np.array(Image.fromarray(gray).resize((10, 8), Image.Resampling.BICUBIC))
    assert done == ("scaled to 10 x 8 (bicubic)",)
    assert image.shape == (3, 8, 10)
    assert (image.numpy() == expected).all()
    with pytest.raises(ValueError, match="takes images with 1 channels, these have 3"):
        array_decoder((3, 4, 6), replace(quick_network(), channels=1))(bytes(72))
