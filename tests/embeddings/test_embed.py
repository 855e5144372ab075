import io
import signal
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from rich.console import Console
from torch import Tensor

from improved_gan.data import DataError
from improved_gan.data.embeddings import read_embeddings, write_embeddings
from improved_gan.data.value_range import ValueRange
from improved_gan.embeddings.embed import Embedding, embed_images
from improved_gan.estimator import LabelSpreadingClassifier, SemiSupervisedGANClassifier
from improved_gan.metrics import MetricError
from improved_gan.metrics.inception import Outputs
from improved_gan.metrics.network import ScoringNetwork
from improved_gan.training.errors import InterruptedRunError
from tests.pictures import folder_of, picture, png, quick_network

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


def test_another_value_range_is_other_features(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    for index in range(2):
        pixels = np.random.default_rng(index).integers(0, 200, (16, 16)).astype(np.uint16)
        (tmp_path / "a" / f"{index}.png").write_bytes(png(Image.fromarray(pixels)))
    bright, dark = (made(tmp_path / "a", values=ValueRange(0, high)) for high in (200, 4095))
    assert bright.features.mean() > 10 * dark.features.mean()
    assert (bright.about["values"], dark.about["values"]) == ("0:200", "0:4095")
    assert made(tmp_path / "a").about["values"] == ""
    text = io.StringIO()
    how = Embedding(network=COLOR, cache=tmp_path / "cache")
    embed_images(tmp_path / "a", how, Console(file=text, width=500))
    assert "the images use gray levels 0 to 1 of 0 to 255" in text.getvalue()
    quiet = io.StringIO()
    embed_images(tmp_path / "a", replace(how, values=ValueRange(0, 200)), Console(file=quiet))
    assert quiet.getvalue() == ""


def test_the_network_is_made_with_the_threads_of_one_of_several_processes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A session of ONNX Runtime keeps the number of threads that it was made with."""
    before, made_with = torch.get_num_threads(), []

    def choose(*_: object, **__: object) -> ScoringNetwork:
        made_with.append(torch.get_num_threads())
        return quick_network()

    monkeypatch.setattr("improved_gan.embeddings.embed.choose_network", choose)
    monkeypatch.setattr("improved_gan.embeddings.embed._helpers", lambda *_: nullcontext([]))
    torch.set_num_threads(4)
    try:
        for workers in (1, 2, 8):
            made(folder_of(tmp_path / str(workers), 2), workers=workers)
            assert torch.get_num_threads() == 4
    finally:
        torch.set_num_threads(before)
    assert made_with == [4, 2, 1]


@pytest.mark.parametrize("damaged", [False, True])
def test_stopped_in_the_middle_and_continued(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, damaged: bool) -> None:
    """By a signal after two of four chunks; a power failure may also cut a file of the cache short."""
    images, network, batches = folder_of(tmp_path / "a", 100), quick_network(), []

    def run(prepared: Tensor) -> Outputs:
        batches.append(prepared)
        if len(batches) == 2:
            signal.raise_signal(signal.SIGTERM)
        return network.run(prepared)

    monkeypatch.setattr("improved_gan.embeddings.embed.choose_network", lambda *_, **__: replace(network, run=run))
    with pytest.raises(InterruptedRunError, match="run the same command to continue"):
        made(images)
    files = list((tmp_path / "cache").rglob("*.safetensors"))
    assert (len(files), len(batches)) == (2, 2)
    if damaged:
        files[0].write_bytes(files[0].read_bytes()[:-100])
    found = made(images)
    assert len(batches) == 4 + damaged
    expected = embed_images(images, Embedding("quick", tmp_path / "other"), Console(quiet=True))
    np.testing.assert_array_equal(found.features, expected.features)
    assert (found.names, found.hashes) == (expected.names, expected.hashes)


def test_estimators_take_a_file_of_embeddings(tmp_path: Path) -> None:
    """In float16, with text for labels, and the classes of other images of the same kinds."""
    for name, (level, seed) in {"dark": (40, 0), "light": (200, 1)}.items():
        for index in range(20):
            pixels = np.random.default_rng([seed, index]).integers(level - 40, level + 40, (8, 8, 3)).astype(np.uint8)
            (tmp_path / "a" / name).mkdir(parents=True, exist_ok=True)
            (tmp_path / "a" / name / f"{index}.png").write_bytes(png(Image.fromarray(pixels)))
    write_embeddings(tmp_path / "e.npz", made(tmp_path / "a", dtype="float16"))
    found = read_embeddings(tmp_path / "e.npz")
    truth = np.array([name.partition("/")[0] for name in found.names], dtype=object)
    y = np.where(np.arange(40) % 10 == 0, truth, -1)
    for model in (
        LabelSpreadingClassifier(scaling="columns"),
        SemiSupervisedGANClassifier(epochs=30, batch_size=20, device="cpu", random_state=0),
    ):
        assert model.fit(found.features, y).score(found.features, truth.astype(str)) > 0.9
