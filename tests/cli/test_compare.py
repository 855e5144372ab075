"""`improved-gan compare` on embeddings and on a folder of images."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from sklearn.datasets import make_blobs

from improved_gan.data.embeddings import Embeddings, write_embeddings
from tests.command_line import cli


@pytest.fixture
def embedded(tmp_path: Path) -> Path:
    """60 embeddings of three classes, of which 24 have labels; labels.csv beside them."""
    rows, truth = make_blobs(60, n_features=20, centers=3, random_state=0)
    names = tuple(f"image-{row}.jpg" for row in range(60))
    write_embeddings(tmp_path / "e.npz", Embeddings(rows.astype(np.float32), names))
    lines = [f"{name},{'abc'[one]}" for name, one in zip(names[:24], truth, strict=False)]
    (tmp_path / "labels.csv").write_text("\n".join(["file,label", *lines]))
    return tmp_path / "e.npz"


def test_a_table_and_a_verdict(embedded: Path) -> None:
    chosen = ("--methods", "linear probe", "--methods", "k-NN", "--methods", "label spreading", "--num-repeats", "1")
    done = cli("compare", embedded, "--labels", embedded.parent / "labels.csv", *chosen, "--num-unlabeled", "30")
    assert done.returncode == 0, done.stderr
    assert "24 labels of 3 classes, 30 images without a label" in done.stdout
    assert [line.split("  ")[0] for line in done.stdout.splitlines()[2:5]] == [
        "linear probe",
        "k-NN",
        "label spreading",
    ]
    assert "do not suffice to tell" in done.stdout  # all are right everywhere


def test_a_folder_is_compared_as_pixels(tmp_path: Path) -> None:
    random = np.random.RandomState(0)
    for name, level in (("dark", 60), ("light", 180)):
        (tmp_path / name).mkdir()
        for number in range(8):
            side = (20, 32, 64)[number % 3]
            pixels = random.randint(level - 50, level + 50, (side, side, 3)).astype(np.uint8)
            Image.fromarray(pixels).save(tmp_path / name / f"{number}.png")
    done = cli("compare", tmp_path, "--methods", "linear probe", "--num-repeats", "1")
    assert done.returncode == 0, done.stderr
    assert "linear probe      0.0" in done.stdout
    (tmp_path / "flat").mkdir()
    for number, file in enumerate(sorted(tmp_path.glob("*/*.png"))):
        file.rename(tmp_path / "flat" / f"{number}.png")
    done = cli("compare", tmp_path / "flat")
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)
    assert "has no labels: sort the images into class folders, or give --labels FILE" in done.stderr


def test_bad_input_gives_one_line(embedded: Path, tmp_path: Path) -> None:
    labels = embedded.parent / "labels.csv"
    for words, message in (
        (("compare", embedded), "give --labels FILE"),
        (("compare", embedded, "--labels", labels, "--methods", "forest"), "no method is called forest"),
        (("compare", tmp_path / "none.npz", "--labels", labels), "there is no"),
    ):
        done = cli(*words)
        assert (done.returncode, message in done.stderr.replace("\n", " ")) == (2, True), done.stderr
    labels.write_text("file,label\nimage-1.jpg,a\nimage-2.jpg,b\nimage-3.jpg,b\n")
    done = cli("compare", embedded, "--labels", labels)
    assert done.returncode == 2
    assert "needs two labels of each class, but a has one" in done.stderr
