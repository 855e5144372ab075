import io
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from rich.console import Console

from improved_gan.cli import app
from improved_gan.data import DataError
from improved_gan.data.embeddings import read_embeddings
from improved_gan.embeddings.embed import Embedding, embed_images
from improved_gan.metrics import MetricError
from tests.command_line import start
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


def test_the_command_writes_what_evaluate_reads(tmp_path: Path) -> None:
    images, out, cache = folder_of(tmp_path / "a", 12), tmp_path / "e.npz", tmp_path / "cache"
    (images / "copy.png").write_bytes((images / "000.png").read_bytes())
    words = ["embed", images, "--network", COLOR, "--out", out, "--cache", cache, "--device", "cpu"]
    found = CliRunner().invoke(app, [str(word) for word in words], catch_exceptions=False)
    assert found.exit_code == 0
    assert "warning: 1 of 13 embeddings equal an earlier one" in found.output
    assert "13 images, 12 features of tests.pictures:color_logits (sha256" in found.output
    about = read_embeddings(out).about
    assert (about["spec"], about["source"], about["weights"]) == (COLOR, str(images), "")
    words = ["evaluate", out, "--reference", images, "--network", COLOR, "--cache", cache, "--metrics", "fid"]
    scored = CliRunner().invoke(app, [str(word) for word in words], catch_exceptions=False)
    assert scored.exit_code == 0, scored.output
    assert "Fréchet distance" in scored.output


def test_several_processes_give_the_same(tmp_path: Path) -> None:
    images = folder_of(tmp_path / "a", 70)
    alone = made(images)
    words = ["embed", images, "--network", COLOR, "--cache", tmp_path / "two", "--device", "cpu"]
    process = start(*words, "--out", tmp_path / "e.npz", "--workers", "2")
    _, errors = process.communicate(timeout=120)
    assert process.returncode == 0, errors
    np.testing.assert_array_equal(read_embeddings(tmp_path / "e.npz").features, alone.features)


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
