"""The two formats as their author describes them; pickles as Python 2 and 3 write them."""

import pickle
from pathlib import Path

import numpy as np
import pytest

from improved_gan.data import DataError
from improved_gan.data.cifar10_batches import read_binary_batch, read_python_batch

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
        with pytest.raises(DataError, match="is no batch of CIFAR-10"):
            read_python_batch(call, "p")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (pickled()[:-500], "is no batch of CIFAR-10"),
        (b"", "is no batch of CIFAR-10"),
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
    with pytest.raises(DataError, match="no multiple of 3073"):
        read_binary_batch(binary()[:-1], "b")
    with pytest.raises(DataError, match="has 0 bytes"):
        read_binary_batch(b"", "b")
    with pytest.raises(DataError, match="from 0 to 200"):
        read_binary_batch(bytes([200]) + bytes(3072), "b")
