import hashlib
import io
import os
import pickle
import tarfile
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from improved_gan.data import DataError, load_cifar10
from improved_gan.data.cifar10 import (
    CIFAR10_ARCHIVES,
    CIFAR10_CLASSES,
    PYTHON_FILES,
    read_binary_batch,
    read_python_batch,
)
from tests.data.served import served

PIXELS = np.random.default_rng(0).integers(0, 256, (7, 3, 32, 32), dtype=np.uint8)
LABELS = [3, 1, 4, 1, 5, 9, 0]


def binary() -> bytes:
    """Class, 1024 red, 1024 green, 1024 blue bytes, row by row."""
    return b"".join(bytes([label]) + pixels.tobytes() for label, pixels in zip(LABELS, PIXELS, strict=True))


def pickled(protocol: int = 2, **changes: object) -> bytes:
    batch = {"batch_label": "testing", "labels": LABELS, "data": PIXELS.reshape(7, -1), "filenames": ["x.png"] * 7}
    return pickle.dumps({**batch, **changes}, protocol=protocol)


@pytest.mark.parametrize("protocol", [2, 4])
def test_both_formats_give_the_same(protocol: int) -> None:
    batches = (read_binary_batch(binary(), "b"), read_python_batch(pickled(protocol), "p"))
    for batch in batches:
        np.testing.assert_array_equal(batch.images.numpy(), PIXELS)
        assert batch.labels.tolist() == LABELS


def test_a_pickle_of_python_2_whose_strings_are_bytes() -> None:
    batch = read_python_batch(pickle.dumps({b"labels": LABELS, b"data": PIXELS.reshape(7, -1)}, protocol=2), "p")
    assert batch.labels.tolist() == LABELS


class Evil:
    """A pickle that writes a file when it is read the usual way."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[object, ...]:
        return Path.write_text, (self.path, "gotcha")


def test_no_code_of_a_pickle_is_run(tmp_path: Path) -> None:
    evil = pickle.dumps({"labels": LABELS, "data": Evil(tmp_path / "proof")}, protocol=2)
    pickle.loads(evil)
    assert (tmp_path / "proof").exists()
    (tmp_path / "proof").unlink()
    with pytest.raises(DataError, match=r"asks for \w+\.\w+, which no batch of images needs"):
        read_python_batch(evil, "p")
    assert not (tmp_path / "proof").exists()
    for call in (b"cos\nsystem\n(S'true'\ntR.", b"cbuiltins\neval\n(S'1'\ntR.", b"c_codecs\nencode\n(Vx\nVrot13\ntR."):
        with pytest.raises(DataError, match="is not a batch of CIFAR-10"):
            read_python_batch(call, "p")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (pickled()[:-500], "is not a batch of CIFAR-10"),
        (b"", "is not a batch of CIFAR-10"),
        (pickle.dumps([1, 2]), r"holds no data of \(N, 3072\) uint8"),
        (pickled(data=PIXELS.reshape(7, -1).astype(float)), "only uint8 arrays are read"),
        (pickled(data=PIXELS), r"holds no data of \(N, 3072\) uint8"),
        (pickled(data=PIXELS.tobytes()), r"holds no data of \(N, 3072\) uint8"),
        (pickled(labels=[2**40] * 7), "holds no list of labels"),
        (pickled(labels=[True] * 7), "holds no list of labels"),
        (pickled(labels="abc"), "holds no list of labels"),
        (pickled(labels=LABELS[:-1]), "class from 0 to 9 for each of its 7 images; it has 6"),
        (pickled(labels=[10] * 7), "from 0 to 10"),
    ],
)
def test_bad_pickles(content: bytes, message: str) -> None:
    with pytest.raises(DataError, match=message):
        read_python_batch(content, "p")


def test_a_dtype_that_points_elsewhere_is_refused() -> None:
    """A dtype's state can say that a byte string holds objects: NumPy would follow the pointers in it."""
    lying = b"cnumpy\ndtype\n(X\x02\x00\x00\x00V8tR(K\x03X\x01\x00\x00\x00|N(X\x01\x00\x00\x00at}K\x08K\x01K\x00tb"
    with pytest.raises(DataError, match="only uint8 arrays are read"):
        read_python_batch(b"\x80\x02" + lying + b".", "p")


def test_bad_binaries() -> None:
    with pytest.raises(DataError, match="not a multiple of 3073"):
        read_binary_batch(binary()[:-1], "b")
    with pytest.raises(DataError, match="has 0 bytes"):
        read_binary_batch(b"", "b")
    with pytest.raises(DataError, match="from 0 to 200"):
        read_binary_batch(bytes([200]) + bytes(3072), "b")


FILES = [f"data_batch_{number}" for number in range(1, 6)] + ["test_batch"]


@pytest.fixture(autouse=True)
def elsewhere(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("IMPROVED_GAN_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("IMPROVED_GAN_DATA", raising=False)


def batch(number: int) -> tuple[np.ndarray, list[int]]:
    random = np.random.default_rng(number)
    return random.integers(0, 256, (10, 3072), dtype=np.uint8), random.permutation(10).tolist()


def unpacked(folder: Path, kind: str) -> Path:
    """The six files of a version, as they lie in its archive."""
    folder = folder / ("cifar-10-batches-py" if kind == "python" else "cifar-10-batches-bin")
    folder.mkdir(parents=True)
    for number, name in enumerate(FILES):
        pixels, labels = batch(number)
        if kind == "python":
            (folder / name).write_bytes(pickle.dumps({b"data": pixels, b"labels": labels}, protocol=2))
        else:
            rows = np.concatenate([np.array(labels, np.uint8)[:, None], pixels], 1)
            (folder / f"{name}.bin").write_bytes(rows.tobytes())
    (folder / "readme.html").write_text("see the web page")
    return folder


def packed(folder: Path) -> tuple[dict[str, str], dict[str, Path]]:
    """Both archives with their sums."""
    sums, paths = {}, {}
    for kind in ("python", "binary"):
        path = folder / f"cifar-10-{kind}.tar.gz"
        with tarfile.open(path, "w:gz") as archive:
            archive.add(unpacked(folder / "unpacked", kind), arcname=f"cifar-10-batches-{kind[:3]}")
        sums[path.name], paths[kind] = hashlib.md5(path.read_bytes()).hexdigest(), path
    return sums, paths


def sums_of(folder: Path) -> dict[str, str]:
    return {name: hashlib.md5((folder / name).read_bytes()).hexdigest() for name in FILES}


def check(data) -> None:
    expected = [batch(number) for number in range(6)]
    pixels = np.concatenate([pixels for pixels, _ in expected]).reshape(-1, 3, 32, 32)
    np.testing.assert_array_equal(torch.cat([data.train.images, data.test.images]).numpy(), pixels)
    assert data.train.labels.tolist() == [label for _, labels in expected[:5] for label in labels]
    assert data.test.labels.tolist() == expected[5][1]
    assert data.class_names == CIFAR10_CLASSES


def test_archives_and_unpacked_folders_of_both_versions(tmp_path: Path) -> None:
    sums, paths = packed(tmp_path)
    for kind in ("python", "binary"):
        check(load_cifar10(str(paths[kind]), archives=sums))
    check(load_cifar10(tmp_path, archives=sums))
    files = sums_of(tmp_path / "unpacked" / "cifar-10-batches-py")
    for folder in (tmp_path / "unpacked", *(tmp_path / "unpacked").iterdir()):
        check(load_cifar10(folder, files=files, num_images=10))
    renamed = paths["python"].rename(tmp_path / "my copy.tar.gz")
    check(load_cifar10(renamed, archives=sums))


def test_an_altered_archive_is_refused_before_it_is_read(tmp_path: Path) -> None:
    sums, paths = packed(tmp_path)
    with pytest.raises(DataError, match=r"MD5 .* is published"):
        load_cifar10(paths["python"], archives=CIFAR10_ARCHIVES)
    content = paths["binary"].read_bytes()
    paths["binary"].write_bytes(content[: len(content) // 2])
    with pytest.raises(DataError, match=r"MD5 .* is published|truncated or damaged"):
        load_cifar10(paths["binary"], archives=sums)


def test_an_unpacked_copy_is_compared_with_the_published_sums(tmp_path: Path) -> None:
    folder = unpacked(tmp_path, "python")
    with pytest.raises(
        DataError, match=rf"data_batch_1 has MD5 .* {PYTHON_FILES['data_batch_1']} is published.*unpack"
    ):
        load_cifar10(folder)
    files = sums_of(folder)
    check(load_cifar10(folder, files=files, num_images=10))
    pixels, labels = batch(3)  # the same images, written by another version of the format
    (folder / "data_batch_4").write_bytes(pickle.dumps({"data": pixels, "labels": labels}, protocol=4))
    with pytest.raises(
        DataError, match=r"data_batch_4 has MD5 .*saved again; unpack the published archive.*train/CLASS"
    ):
        load_cifar10(folder, files=files, num_images=10)


def test_an_unpacked_binary_version_must_be_complete(tmp_path: Path) -> None:
    folder = unpacked(tmp_path, "binary")
    content = (folder / "test_batch.bin").read_bytes()
    (folder / "test_batch.bin").write_bytes(content[:-3073])
    with pytest.raises(DataError, match=r"test_batch.bin holds 9 images, where 10 are published: unpack it again"):
        load_cifar10(folder, num_images=10)


def test_a_download_is_checked_and_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "server").mkdir()
    sums, _ = packed(tmp_path / "server")
    with served(tmp_path / "server") as address:
        with pytest.raises(DataError, match=r"could not download cifar-10-binary.tar.gz .*is published.*--data DIR"):
            load_cifar10(archives=dict.fromkeys(sums, "0" * 32), mirrors=[address])
        check(load_cifar10(archives=sums, mirrors=[address]))
    check(load_cifar10(archives=sums, mirrors=[]))  # now from the cache
    monkeypatch.setenv("IMPROVED_GAN_DATA", str(tmp_path / "server"))
    check(load_cifar10(archives=sums, mirrors=[]))


def test_what_is_missing_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"holds no CIFAR-10: give .*train/cat"):
        load_cifar10(tmp_path)
    with pytest.raises(DataError, match="does not exist"):
        load_cifar10(tmp_path / "none")
    folder = unpacked(tmp_path, "binary")
    (folder / "data_batch_4.bin").unlink()
    with pytest.raises(DataError, match=r"lacks data_batch_4.bin: unpack"):
        load_cifar10(tmp_path)


def jpeg(color: int, size: int = 32) -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", (size, size), (color, 0, 255 - color)).save(buffer, "JPEG")
    return buffer.getvalue()


def class_folders(folder: Path) -> Path:
    for part, num in (("train", 3), ("test", 2)):
        for place, name in enumerate(CIFAR10_CLASSES):
            for number in range(num):
                path = folder / part / name / f"{number:04d}.jpg"
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(jpeg(20 * place + number))
    return folder


@pytest.mark.parametrize("form", ["folder", "tar.xz"])
def test_image_files_in_class_folders(tmp_path: Path, form: str) -> None:
    folder = class_folders(tmp_path / "cifar10-jpeg")
    if form == "tar.xz":
        with tarfile.open(tmp_path / "cifar10-jpeg.tar.xz", "w:xz") as archive:
            archive.add(folder, arcname=".")
        folder = tmp_path / "cifar10-jpeg.tar.xz"
    for data in (load_cifar10(folder), load_cifar10(tmp_path)):
        assert (data.name, len(data.train), len(data.test)) == ("cifar10-jpeg", 30, 20)
        red = data.train.images[:, 0].float().mean((1, 2))
        expected = 20 * data.train.labels + torch.arange(3).repeat(10)
        np.testing.assert_allclose(red.numpy(), expected.numpy(), atol=3)  # JPEG
        assert data.train.labels.bincount().tolist() == [3] * 10


def test_bad_class_folders(tmp_path: Path) -> None:
    folder = class_folders(tmp_path)
    (folder / "train" / "cat" / "0001.jpg").write_bytes(jpeg(1)[:200])
    with pytest.raises(DataError, match=r"1 images cannot be read \(train/cat/0001.jpg\)"):
        load_cifar10(folder)
    (folder / "train" / "cat" / "0001.jpg").write_bytes(jpeg(1, 33))
    with pytest.raises(DataError, match="32x32 pixels"):
        load_cifar10(folder)
    (folder / "train" / "cat" / "0001.jpg").unlink()
    (folder / "train" / "zebra").mkdir()
    (folder / "train" / "zebra" / "0.jpg").write_bytes(jpeg(1))
    with pytest.raises(DataError, match=r"train/zebra/0.jpg is not in train/CLASS"):
        load_cifar10(folder)


REAL = (
    Path(os.environ.get("IMPROVED_GAN_DATA", "/nowhere")) / "cifar10-jpeg.tar.xz"
)  # a fixture takes the variable away


@pytest.mark.slow
@pytest.mark.skipif(
    not REAL.is_file(),
    reason="needs cifar10-jpeg.tar.xz in IMPROVED_GAN_DATA",
)
def test_a_tenth_of_the_real_images(tmp_path: Path) -> None:
    num_files = 0
    with tarfile.open(REAL, "r|xz") as archive:  # a stream, decompressed once
        for entry in archive:
            if entry.isfile() and num_files % 10 == 0:
                (tmp_path / entry.name).parent.mkdir(parents=True, exist_ok=True)
                (tmp_path / entry.name).write_bytes(archive.extractfile(entry).read())
            num_files += entry.isfile()
    assert num_files == 60_000
    data = load_cifar10(tmp_path)
    assert data.train.labels.bincount().tolist() == [500] * 10
    assert data.test.labels.bincount().tolist() == [100] * 10
    # Published means of the 50,000 training images; the mean of 5,000 has a standard error of 0.002.
    means = data.train.images.double().mean((0, 2, 3)) / 255
    np.testing.assert_allclose(means.numpy(), [0.4914, 0.4822, 0.4465], atol=6e-3)
