import io
from pathlib import Path

import numpy as np
import pytest
from rich.console import Console

from improved_gan.data import DataError
from improved_gan.embeddings.embed import Embedding, embed_images
from improved_gan.metrics import MetricError
from tests.pictures import folder_of, picture, png

COLOR = "tests.pictures:color_logits"


def made(images: Path, **changes: object):  # type: ignore[no-untyped-def]
    how = Embedding(network=COLOR, cache=images.parent / "cache", **changes)  # type: ignore[arg-type]
    return embed_images(images, how, Console(file=io.StringIO()))


def test_features_of_each_image_in_order_of_name(tmp_path: Path) -> None:
    images = folder_of(tmp_path / "a", 40)
    found = made(images)
    assert found.names == tuple(f"{index:03d}.png" for index in range(40))
    alone = folder_of(tmp_path / "b", 1, seed=33)
    np.testing.assert_allclose(made(alone).features[0], found.features[33], atol=1e-6)
    assert made(alone).hashes == found.hashes[33:34]
    assert found.logits is not None
    assert found.logits.shape == (40, 6)
    (images / "039.png").rename(images / "a.png")
    again = made(images, dtype="float16")
    assert (again.names[-1], again.features.dtype) == ("a.png", np.float16)
    np.testing.assert_allclose(again.features, found.features, atol=1e-3)


def test_images_and_networks_that_cannot_be_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    images = folder_of(tmp_path / "a", 3)
    (tmp_path / "seen_nothing.py").write_text(
        "import torch\ndef same(images): return torch.ones(len(images), 4) * torch.arange(4)\n"
        "def nan(images): return torch.full((len(images), 4), float('nan'))\n"
        "def large(images): return images.float().flatten(1)[:, :9] * 1e5\n"
    )
    monkeypatch.chdir(tmp_path)
    cache = tmp_path / "cache"
    for name, error, message in (
        ("same", DataError, "all embeddings are the same: the network does not see the images"),
        ("nan", MetricError, "gives NaN or infinity for 000.png, 001.png"),
    ):
        with pytest.raises(error, match=message):
            embed_images(images, Embedding(f"seen_nothing:{name}", cache), Console(quiet=True))
    with pytest.raises(DataError, match=r"hold NaN or infinity.*in float32 if the numbers are too large for float16"):
        embed_images(images, Embedding("seen_nothing:large", cache, dtype="float16"), Console(quiet=True))
    (images / "001.png").write_bytes(b"nothing")
    with pytest.raises(DataError, match=r"1 of 3 images cannot be used: 001\.png"):
        made(images)
    assert made(images, skip_invalid=True).names == ("000.png", "002.png")
    sizes = folder_of(tmp_path / "b", 1)
    (sizes / "001.png").write_bytes(png(picture(9, (20, 20))))
    with pytest.raises(MetricError, match="takes images of one size"):
        made(sizes)
