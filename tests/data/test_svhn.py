"""SVHN's format as scipy writes it: MATLAB 5, X (32, 32, 3, N), y (N, 1) with 10 for the digit 0."""

import hashlib
import io
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
import scipy.io

from improved_gan.data import DataError, load_svhn
from improved_gan.data.svhn import SVHN_FILES, MatlabError, read_matlab, read_svhn
from tests.data.served import served
from tests.mutations import damaged_headers

RANDOM = np.random.default_rng(0)
ARRAYS = {
    "X": RANDOM.integers(0, 256, (4, 3, 2, 5), dtype=np.uint8),
    "y": np.array([[1], [10], [3]], np.uint8),
    "double": RANDOM.normal(size=(2, 3)),
    "single": RANDOM.normal(size=(1, 3)).astype(np.float32),
    "whole": np.array([[-(2**40), 2**40]]),
    "short": np.array([[1, -2]], np.int16),
    "none": np.zeros((0, 2), np.uint8),
}


def written(arrays: dict[str, object], *, compressed: bool = True) -> bytes:
    buffer = io.BytesIO()
    scipy.io.savemat(buffer, arrays, do_compression=compressed)
    return buffer.getvalue()


@pytest.mark.parametrize("compressed", [False, True])
def test_arrays_as_scipy_writes_them(compressed: bool) -> None:
    others = {"text": "abc", "cell": np.array(["a", 1], object), "struct": {"X": 1}, "complex": np.array([[1j]])}
    found = read_matlab(written({**others, **ARRAYS}, compressed=compressed), ARRAYS)
    assert found.keys() == ARRAYS.keys()
    for name, array in ARRAYS.items():
        np.testing.assert_array_equal(found[name], array, strict=True)


def test_the_other_byte_order_and_numbers_kept_small() -> None:
    """A double matrix [[1, 2, 3]] whose values are kept as bytes in a short element, big endian."""
    matrix = struct.pack(">IIII", 6, 8, 6, 0) + struct.pack(">IIii", 5, 8, 1, 3) + struct.pack(">HH4s", 1, 1, b"m")
    matrix += struct.pack(">HH4s", 3, 2, b"\1\2\3")
    content = b" " * 124 + struct.pack(">H", 0x0100) + b"MI" + struct.pack(">II", 14, len(matrix)) + matrix
    found = read_matlab(content, ("m",))["m"]
    assert (found.dtype, found.tolist()) == (np.float64, [[1.0, 2.0, 3.0]])


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "does not start as"),
        (b"\x89HDF" + bytes(200), "does not start as"),
        (written(ARRAYS)[:-20], "truncated"),
        (written(ARRAYS)[:132], "truncated"),
        (written({"X": np.array([[1j]])}), "not an array of real numbers"),
        (written({"X": np.array(["a", 1], object)}), "not an array of real numbers"),
        (written({"X": {"a": 1}}), "not an array of real numbers"),
        (written({})[:128] + struct.pack("<II", 15, 9) + b"x" * 9, "cannot be unpacked"),
        (written({})[:128] + struct.pack("<II", 15, 8) + zlib.compress(b""), "unpacks to nothing"),
        (written({})[:128] + struct.pack("<II", 14, 0), "flags, dimensions and a name"),
    ],
)
def test_what_is_refused(content: bytes, message: str) -> None:
    with pytest.raises(MatlabError, match=message):
        read_matlab(content, ("X",))


@pytest.mark.parametrize("compressed", [False, True])
def test_damaged_files_are_one_line_or_numbers(compressed: bool) -> None:
    content, found = written({"X": ARRAYS["X"], "y": ARRAYS["y"]}, compressed=compressed), []
    for damaged in damaged_headers(content, 400):
        try:
            found.append(str(sorted(read_matlab(damaged, ("X", "y")))))
        except MatlabError as error:
            found.append(f"{error} is told")
    assert not any("\n" in one for one in found)
    assert sum("is told" in one for one in found) > 100


def mat(path: Path, num: int, *, seed: int = 0, **changes: np.ndarray) -> np.ndarray:
    """Writes a file and gives its images as (N, 32, 32, 3)."""
    images = np.random.default_rng(seed).integers(0, 256, (num, 32, 32, 3), dtype=np.uint8)
    content = {"X": images.transpose(1, 2, 3, 0), "y": (np.arange(num) % 10 + 1).reshape(-1, 1)}
    scipy.io.savemat(path, content | changes, do_compression=True)
    return images


@pytest.fixture
def small(tmp_path: Path) -> tuple[Path, dict[str, str]]:
    for name, num in (("train_32x32.mat", 30), ("test_32x32.mat", 12)):
        mat(tmp_path / name, num, seed=num)
    return tmp_path, {name: hashlib.md5((tmp_path / name).read_bytes()).hexdigest() for name in SVHN_FILES}


def test_images_are_upright_and_label_ten_is_the_digit_zero(small: tuple[Path, dict[str, str]]) -> None:
    folder, files = small
    data = load_svhn(str(folder), files=files)
    images = np.random.default_rng(30).integers(0, 256, (30, 32, 32, 3), dtype=np.uint8)
    np.testing.assert_array_equal(data.train.images.permute(0, 2, 3, 1).numpy(), images)
    assert data.train.labels.tolist() == [one % 10 for one in range(1, 31)]
    assert (len(data.test), data.class_names[0], data.image_shape) == (12, "0", (3, 32, 32))


def test_the_environment_and_the_cache_are_looked_in(
    small: tuple[Path, dict[str, str]], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    folder, files = small
    monkeypatch.setenv("IMPROVED_GAN_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("IMPROVED_GAN_DATA", str(folder))
    assert len(load_svhn(files=files).train) == 30


def test_a_download_is_checked_and_kept(
    small: tuple[Path, dict[str, str]], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    folder, files = small
    monkeypatch.setenv("IMPROVED_GAN_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("IMPROVED_GAN_DATA", raising=False)
    with served(folder) as address:
        assert len(load_svhn(files=files, mirrors=[address]).test) == 12
    assert len(load_svhn(files=files, mirrors=[]).test) == 12  # now from the cache


def test_a_wrong_download_never_gets_its_name(
    small: tuple[Path, dict[str, str]], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("IMPROVED_GAN_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("IMPROVED_GAN_DATA", raising=False)
    with (
        served(small[0]) as address,
        pytest.raises(DataError, match=r"could not download train_32x32.mat .*is published.*--data DIR"),
    ):
        load_svhn(files=dict.fromkeys(SVHN_FILES, "0" * 32), mirrors=[address])
    assert [path.name for path in (tmp_path / "cache" / "svhn").iterdir()] == [".train_32x32.mat.lock"]


def test_bad_files_are_told_apart(small: tuple[Path, dict[str, str]], tmp_path: Path) -> None:
    folder, files = small
    with pytest.raises(DataError, match=r"MD5 .* is published"):
        load_svhn(folder, files=files | {"train_32x32.mat": "0" * 32})
    for content, message in (
        ({"X": np.zeros((32, 32, 1, 3), np.uint8)}, r"X must be \(32, 32, 3, N\) uint8; it is \(32, 32, 1, 3\)"),
        ({"y": np.zeros((30, 1))}, "digits from 1 to 10"),
        ({"y": np.ones((3, 1))}, "must hold 30 digits .* it has 3"),
    ):
        mat(tmp_path / "other.mat", 30, **content)
        with pytest.raises(DataError, match=message):
            read_svhn(tmp_path / "other.mat")
    scipy.io.savemat(tmp_path / "other.mat", {"z": 1})
    with pytest.raises(DataError, match="holds no X and no y"):
        read_svhn(tmp_path / "other.mat")
    whole = (folder / "train_32x32.mat").read_bytes()
    for damaged in (whole[: len(whole) // 2], b"<html>", b""):
        (tmp_path / "other.mat").write_bytes(damaged)
        with pytest.raises(DataError, match="cannot be read as a MATLAB 5 file"):
            read_svhn(tmp_path / "other.mat")
    (folder / "test_32x32.mat").unlink()
    with pytest.raises(DataError, match=r"lacks test_32x32.mat: give the folder"):
        load_svhn(folder, files=files)


def test_damaged_files_are_one_line_or_images(tmp_path: Path) -> None:
    path, found = tmp_path / "train_32x32.mat", []
    scipy.io.savemat(path, {"X": np.zeros((32, 32, 3, 2), np.uint8), "y": np.array([[1], [10]])})
    for damaged in damaged_headers(path.read_bytes(), 300):
        path.write_bytes(damaged)
        try:
            found.append(str(len(read_svhn(path))))
        except DataError as error:
            found.append(str(error))
    assert not any("\n" in one for one in found)
    assert sum("again" in one for one in found) > 50
