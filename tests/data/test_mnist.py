import gzip
import hashlib
import os
import struct
from pathlib import Path

import numpy as np
import pytest
import torch

from improved_gan.data import DataError, load_mnist
from improved_gan.data.mnist import MNIST_FILES, read_idx
from tests.mutations import damaged_headers


def idx(values: np.ndarray) -> bytes:
    """The idx format as its author describes it: two zero bytes, type 8 (unsigned byte), dimensions, sizes, data."""
    return struct.pack(f">BBBB{values.ndim}I", 0, 0, 8, values.ndim, *values.shape) + values.astype(np.uint8).tobytes()


@pytest.fixture
def small(tmp_path: Path) -> tuple[Path, dict[str, str]]:
    """A folder with four small idx files, two of them compressed, and their sums."""
    random, files = np.random.default_rng(0), {}
    for part, num in (("train", 30), ("t10k", 10)):
        for kind, values in (
            ("images-idx3-ubyte", random.integers(0, 256, (num, 28, 28))),
            ("labels-idx1-ubyte", np.arange(num) % 10),
        ):
            content = idx(values)
            files[f"{part}-{kind}"] = hashlib.md5(content).hexdigest()
            if kind.startswith("labels"):
                (tmp_path / f"{part}-{kind}").write_bytes(content)
            else:
                (tmp_path / f"{part}-{kind}.gz").write_bytes(gzip.compress(content))
    return tmp_path, files


def test_plain_and_compressed_files_are_read(small: tuple[Path, dict[str, str]]) -> None:
    folder, files = small
    data = load_mnist(str(folder), files=files)
    assert data.image_shape == (1, 28, 28)
    assert (len(data.train), len(data.test)) == (30, 10)
    expected = np.random.default_rng(0).integers(0, 256, (30, 28, 28))
    np.testing.assert_array_equal(data.train.images[:, 0].numpy(), expected)
    assert data.test.labels.tolist() == list(range(10))


def test_the_environment_names_the_folder_or_the_one_above(
    small: tuple[Path, dict[str, str]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, files = small
    monkeypatch.setenv("IMPROVED_GAN_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("IMPROVED_GAN_DATA", str(folder))
    assert len(load_mnist(files=files).train) == 30
    above = tmp_path / "above"
    above.mkdir()
    (above / "mnist").symlink_to(folder)
    monkeypatch.setenv("IMPROVED_GAN_DATA", str(above))
    assert len(load_mnist(files=files).train) == 30


def test_a_missing_file_is_named(small: tuple[Path, dict[str, str]]) -> None:
    folder, files = small
    (folder / "t10k-labels-idx1-ubyte").unlink()
    with pytest.raises(DataError, match=r"lacks t10k-labels-idx1-ubyte \(plain or \.gz\)"):
        load_mnist(folder, files=files)


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda content: content[:-100], "truncated: 23520 bytes are announced, 23420 are there"),
        (lambda content: b"\0\0\x0d" + content[3:], "not an idx file"),
        (lambda content: b"<html>", "not an idx file"),
        (lambda content: b"", "not an idx file"),
        (lambda content: content[:-1] + bytes([content[-1] ^ 1]), "MD5 .* is published"),
    ],
)
def test_damage_is_told_apart(small: tuple[Path, dict[str, str]], damage, message: str) -> None:
    folder, files = small
    name = "train-images-idx3-ubyte"
    content = gzip.decompress((folder / f"{name}.gz").read_bytes())
    (folder / f"{name}.gz").write_bytes(gzip.compress(damage(content)))
    with pytest.raises(DataError, match=message):
        load_mnist(folder, files=files)


@pytest.mark.parametrize("damage", [lambda content: content[:-50], lambda content: b"no gzip at all"])
def test_a_damaged_gzip_layer(small: tuple[Path, dict[str, str]], damage) -> None:
    folder, files = small
    path = folder / "train-images-idx3-ubyte.gz"
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(DataError, match="damaged or truncated"):
        load_mnist(folder, files=files)


@pytest.mark.skipif(
    not any(
        (Path(os.environ.get("IMPROVED_GAN_DATA", "/nowhere")) / sub / "train-images-idx3-ubyte.gz").is_file()
        for sub in ("", "mnist")
    ),
    reason="needs the real MNIST in IMPROVED_GAN_DATA",
)
def test_the_real_files_carry_the_published_sums() -> None:
    data = load_mnist()
    assert (len(data.train), len(data.test)) == (60_000, 10_000)
    # Published facts: mean pixel 0.1307 and deviation 0.3081 of the training set.
    pixels = data.train.images.double() / 255
    assert pixels.mean().item() == pytest.approx(0.1307, abs=1e-4)
    assert pixels.std().item() == pytest.approx(0.3081, abs=1e-4)
    assert torch.bincount(data.train.labels).tolist() == [5923, 6742, 5958, 6131, 5842, 5421, 5918, 6265, 5851, 5949]


def test_a_file_without_a_sum_to_check(tmp_path: Path) -> None:
    (tmp_path / "values").write_bytes(idx(np.arange(6).reshape(2, 3)))
    assert read_idx(tmp_path / "values").tolist() == [[0, 1, 2], [3, 4, 5]]
    assert len(MNIST_FILES) == 4


@pytest.mark.parametrize("suffix", ["", ".gz"])
def test_damaged_files_are_one_line_or_bytes(tmp_path: Path, suffix: str) -> None:
    content, path, found = idx(np.arange(200).reshape(5, 8, 5)), tmp_path / f"images{suffix}", []
    for damaged in damaged_headers(gzip.compress(content) if suffix else content, 300):
        path.write_bytes(damaged)
        try:
            found.append(str(read_idx(path).shape))
        except DataError as error:
            found.append(str(error))
    assert not any("\n" in one for one in found)
    assert sum("download it again" in one for one in found) > 100


def test_more_dimensions_than_an_array_can_have_and_a_bomb(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "many").write_bytes(bytes([0, 0, 8, 70]) + bytes(4 * 70))
    with pytest.raises(DataError, match="is not an idx file"):
        read_idx(tmp_path / "many")
    monkeypatch.setattr("improved_gan.data.mnist._LARGEST", 1000)  # what is unpacked at most
    (tmp_path / "bomb.gz").write_bytes(gzip.compress(idx(np.zeros((100, 28, 28)))))
    with pytest.raises(DataError, match="78400 bytes are announced, 984 are there"):
        read_idx(tmp_path / "bomb.gz")
