"""A run on embeddings: train-folder --network, and what other commands do with the run and with new images."""

import csv
import json
import re
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from click.testing import CliRunner
from PIL import Image

from improved_gan.cli import app
from improved_gan.data.embeddings import Embeddings, EmbeddingScaling, as_embeddings, read_embeddings, write_embeddings
from improved_gan.data.folder import FolderOptions, load_folder
from improved_gan.embeddings.backbone import load_backbone
from improved_gan.estimator.scaling import select_scaler
from improved_gan.networks import DenseDiscriminator, DenseGenerator
from improved_gan.recipes import embeddings
from improved_gan.recipes.recipe import RecipeError
from improved_gan.runs import Run
from improved_gan.training.errors import RunError
from tests.export.test_onnx_backbone import network as onnx_network

NETWORK = """
import torch
from torch import nn

class Net(nn.Module):
    image_shape = (3, 8, 8)
    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.layer = nn.Linear(192, 24)
    def forward(self, images):
        features = self.layer(images.flatten(1).float() / 255)
        return features, features[:, :5]

net = Net().eval().requires_grad_(False)
"""


def command(*words: object) -> Any:
    return CliRunner().invoke(app, [str(word) for word in words])


def done(*words: object) -> str:
    found = command(*words)
    assert found.exit_code == 0, (found.output, found.exception)
    return str(found.output)


def colored(path: Path, color: tuple[int, int, int], seed: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    noise = np.random.default_rng(seed).integers(-40, 40, (40, 50, 3))
    Image.fromarray((np.array(color) + noise).clip(0, 255).astype(np.uint8)).save(path)


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder with the images of two classes, a network, and a run on its embeddings; the working directory."""
    folder = tmp_path_factory.mktemp("embeddings")
    for number in range(12):
        colored(folder / "photos" / "red" / f"{number}.png", (200, 60, 60), number)
        colored(folder / "photos" / "blue" / f"{number}.png", (60, 60, 200), 100 + number)
    (folder / "own_net.py").write_text(NETWORK)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.setenv("IMPROVED_GAN_CACHE", str(folder / "cache"))
        patch.setattr(embeddings, "DenseDiscriminator", partial(DenseDiscriminator, hidden=(32, 16)))
        patch.setattr(embeddings, "DenseGenerator", partial(DenseGenerator, hidden=(32,)))
        words = "train-folder --images photos --network own_net:net --out run --epochs 30 --threads 1"
        text = done(*words.split(), "--device", "cpu")
        (folder / "text").write_text(text)
        yield folder


def test_the_run_learns_and_keeps_its_embeddings(place: Path) -> None:
    assert "24 features of own_net:net in place of pixels" in (place / "text").read_text()
    run = Run(place / "run")
    assert (run.image_shape, run.class_names) == ((1, 1, 24), ["blue", "red"])
    assert run.log.last["validation/error"] == 0
    kept = read_embeddings(place / "run" / "embeddings.npz")
    assert len(kept) == 24
    again = run.recipe().load_data(None)
    assert again.train.images.shape[1:] == (1, 1, 24)
    assert again.shown_images is not None
    assert again.shown_images[0].shape[1:] == (3, 32, 32)
    assert not run.sample_grids


def test_new_images_are_classified_and_shown_for_labels(place: Path) -> None:
    colored(place / "new" / "a.png", (190, 70, 50), 1000)
    colored(place / "new" / "b.png", (70, 50, 190), 1001)
    refused = command("classify", "run", "new", "--device", "cpu")
    assert isinstance(refused.exception, RunError)
    assert "loading it executes" in str(refused.exception)
    words = "classify run new --out p.csv --annotate 2 --diversity --trust"
    text = done(*words.split(), "--device", "cpu")
    rows = {row["file"]: row["label"] for row in csv.DictReader((place / "p.csv").read_text().splitlines())}
    assert rows == {"new/a.png": "red", "new/b.png": "blue"}
    assert "--network own_net:net --out run-2" in text
    assert "data:image" in (place / "p.annotate.html").read_text()
    one = command(*["classify", "run", "new/a.png", "--device", "cpu", "--trust", "--invert"])
    assert "--resize and --invert are for runs on pixels" in str(one.exception)


def test_the_report_shows_images(place: Path) -> None:
    done(*["report", "run", "--out", "r.html", "--device", "cpu", "--threads", "1"])
    page = (place / "r.html").read_text()
    assert "nearest to a generated embedding, which has no image of its own" in page
    assert page.count('alt="Training image"') >= 12
    assert 'alt="Sample"' not in page


@pytest.mark.slow
def test_one_file_with_network_and_classifier(place: Path) -> None:
    text = done(*["export", "run", "--out", "c.onnx", "--trust"])
    assert "classifier in c.onnx" in text
    card = json.loads((place / "c.card.json").read_text())
    assert card["image"] == {"height": 8, "width": 8, "channels": 3}
    assert card["resize"].endswith("Pillow bicubic to 8 x 8")
    onnxruntime = pytest.importorskip("onnxruntime")
    backbone = load_backbone(Run(place / "run"), trust=True)
    assert backbone is not None
    image = backbone.decoder(None)("0.png", (place / "photos" / "red" / "0.png").read_bytes())
    pixels = image[None].permute(0, 2, 3, 1).numpy()
    probabilities, _ = onnxruntime.InferenceSession(place / "c.onnx").run(None, {"images": pixels})
    networks = Run(place / "run").load(warn=pytest.fail)
    expected = networks.discriminator(backbone.inputs(image[None])).logits.softmax(1).detach()
    np.testing.assert_allclose(probabilities, expected, atol=0.01)  # the run rounds embeddings to 8 bits


@pytest.mark.slow
def test_a_network_in_an_onnx_file_from_another_folder(
    place: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    onnxruntime = pytest.importorskip("onnxruntime")
    onnx_network(place / "net.onnx")
    done(
        *[
            "train-folder",
            "--images",
            "photos",
            "--network",
            "net.onnx",
            "--out",
            "onnx-run",
            "--epochs",
            "5",
            "--device",
            "cpu",
        ]
    )
    monkeypatch.chdir(tmp_path)
    image = place / "photos" / "red" / "0.png"
    assert "red" in done("classify", place / "onnx-run", image, "--device", "cpu")
    done("export", place / "onnx-run", "--out", "c.onnx")
    backbone = load_backbone(Run(place / "onnx-run"))
    assert backbone is not None
    prepared = backbone.decoder(None)("0.png", image.read_bytes())[None]
    found = onnxruntime.InferenceSession("c.onnx").run(None, {"images": prepared.permute(0, 2, 3, 1).numpy()})[0]
    networks = Run(place / "onnx-run").load(warn=pytest.fail)
    expected = networks.discriminator(backbone.inputs(prepared)).logits.softmax(1).detach()
    np.testing.assert_allclose(found, expected, atol=0.01)
    refused = command("export", place / "onnx-run", "--out", "c.pt2", "--format", "torch")
    assert "which can only be a part of another one: --format onnx" in str(refused.exception)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("sample run --out samples", "generates embeddings, not images"),
        ("evaluate run --network own_net:net", "generates embeddings, not images"),
        ("evaluate photos --network run", r"takes embeddings: name its network own_net:net"),
        ("train-folder --images photos --network a:b --embeddings c.npz", "give one of --network and --embeddings"),
        ("train-folder --images photos --num-labels 0 --network own_net:net --out x", "needs labels of two classes"),
        ("train-folder --images photos --network tests.pictures:color_logits --out run", "holds another run"),
        ("export run --head features --out f.onnx --trust", "only --head classifier can be exported"),
    ],
)
def test_what_a_run_on_embeddings_cannot_do(place: Path, words: str, message: str) -> None:
    found = command(*words.split(), *(["--device", "cpu"] if not words.startswith(("export", "sample")) else []))
    assert found.exit_code != 0
    assert message in f"{found.output} {found.exception}"


def test_another_network_under_the_same_name(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("improved_gan.metrics.custom_network._sources", lambda module: iter([place / "text"]))
    with pytest.raises(RunError, match="is now another network"):
        load_backbone(Run(place / "run"), trust=True)


def test_the_value_range_is_a_part_of_the_run(place: Path, tmp_path: Path) -> None:
    words = "train-folder --images photos --network own_net:net --epochs 1 --value-range 0:100"
    done(*words.split(), "--out", tmp_path / "run", "--device", "cpu")
    kept, plain = (read_embeddings(run / "embeddings.npz") for run in (tmp_path / "run", place / "run"))
    assert not np.allclose(kept.features, plain.features)
    assert kept.about["resize"].endswith("after values 0:100 to 0:255")
    assert load_backbone(Run(tmp_path / "run"), trust=True) is not None


def test_a_file_named_like_a_module_is_no_trust(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (place / "own_net:net").touch()
    monkeypatch.setattr("improved_gan.metrics.custom_network.importlib.import_module", pytest.fail)
    try:
        with pytest.raises(RunError, match="loading it executes"):
            load_backbone(Run(place / "run"))
    finally:
        (place / "own_net:net").unlink()


def test_embeddings_of_a_file_and_images_added_since(place: Path, tmp_path: Path) -> None:
    kept = read_embeddings(place / "run" / "embeddings.npz")
    write_embeddings(tmp_path / "e.npz", kept)
    words = f"train-folder --images photos --embeddings {tmp_path / 'e.npz'} --out {tmp_path / 'run'} --epochs 1 -n"
    assert "24 features of own_net:net in place of pixels" in done(*words.split(), "--device", "cpu")
    write_embeddings(tmp_path / "e.npz", Embeddings(kept.features[1:], kept.names[1:], kept.hashes[1:], kept.about))
    found = command(*words.split(), "--device", "cpu")
    assert "1 images have no embedding" in str(found.exception)
    about = {**kept.about, "values": "0:4095"}
    write_embeddings(tmp_path / "e.npz", Embeddings(kept.features, kept.names, kept.hashes, about))
    found = command(*words.split(), "--device", "cpu")
    assert "was made with --value-range 0:4095, and these images are read with none" in str(found.exception)
    write_embeddings(tmp_path / "e.npz", Embeddings(kept.features, kept.names))
    assert "names no network" in str(command(*words.split(), "--device", "cpu").exception)


def test_one_image_is_too_few() -> None:
    with pytest.raises(RecipeError, match="needs two images or more; got 1"):
        embeddings.embeddings_for(8, num_classes=2, num_labels=2, num_images=1)
    assert embeddings.embeddings_for(8, num_classes=2, num_labels=2, num_images=2).batch_size == 2


def test_the_scaling_is_that_of_the_estimators(tmp_path: Path, place: Path) -> None:
    features = np.random.default_rng(0).normal(2, 3, (50, 300)).astype(np.float32)
    statistics = type("Seen", (), {"low": features.min(0), "high": features.max(0)})()
    theirs = select_scaler([features], statistics, is_image=False, wanted="embedding").apply(features)  # type: ignore[arg-type]
    ours = EmbeddingScaling.of(features)(torch.from_numpy(features))
    np.testing.assert_allclose(ours[:, 0, 0], theirs, atol=1e-5)
    own = load_folder(FolderOptions(place / "photos", tmp_path / "cache"))
    data, _ = as_embeddings(own.dataset, own.rows, read_embeddings(place / "run" / "embeddings.npz"))
    assert data.train.labels.equal(own.dataset.train.labels)
    assert data.digest != own.dataset.digest
    kept = read_embeddings(place / "run" / "embeddings.npz")
    half = Embeddings(kept.features.astype(np.float16), kept.names, kept.hashes, kept.about)
    assert as_embeddings(own.dataset, own.rows, half)[0].digest != data.digest


def test_the_commands_of_the_guide(place: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    page = (Path(__file__).parents[2] / "docs" / "photographs.md").read_text()
    commands = re.findall(r"^improved-gan (.+)$", page, re.MULTILINE)
    assert [line.split()[0] for line in commands] == ["train-folder", "report", "classify", "classify", "export"]
    for file in (place / "photos").glob("*/*.png"):
        (tmp_path / "photos").mkdir(exist_ok=True)
        (tmp_path / "photos" / f"{file.parent.name}-{file.name}").write_bytes(file.read_bytes())
    rows = [f"{color}-{number}.png,{color}" for color in ("red", "blue") for number in range(8)]
    (tmp_path / "labels.csv").write_text("\n".join(["file,label", *rows]))
    colored(tmp_path / "new.jpg", (60, 60, 200), 7)
    train, report, annotate, classify, export = (line.replace("lite0:network", "own_net:net") for line in commands)
    assert "16 labels" in done(*train.split(), "--epochs", "5", "--device", "cpu", "--validation", "0")
    done(*report.split(), "--device", "cpu")
    done(*annotate.split(), "--device", "cpu")
    assert (tmp_path / "predictions.annotate.html").is_file()
    assert "new.jpg: blue" in done(*classify.split(), "--device", "cpu")
    assert set(export.split()) <= {*["export", "runs/photos", "--out", "photos.onnx", "--trust"]}
