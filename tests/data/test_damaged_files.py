"""Every reader of a user's file, on damaged copies of one: a result, or one error in words, never anything else."""

import io
import json
import os
import tarfile
import zipfile
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest

from improved_gan.data import DataError
from improved_gan.data.folder_labels import read_labeling, read_labels_beside
from improved_gan.data.folder_snapshot import load_recorded, recorded_path
from improved_gan.data.image_index import index_images
from improved_gan.data.image_sources import open_images
from improved_gan.data.labels_file import read_labels_file
from tests.data.test_folder import load, make
from tests.data.test_folder_snapshot import record
from tests.mutations import NUM, mutations
from tests.pictures import picture, png

NAMES = ("cat/a.png", "cat/b, c.png", "dog/café.png", "dog/d.1.png")
LABELS = 'file,label,note\ncat/a.png,cat,1\n"cat/b, c.png","a ""big"" cat",2\ndog/café.png,dog,3\ndog/d.1.png,-1,4\n'


def survives(read: Callable[[], object]) -> bool:
    """Whether it was read; a DataError is the only error that may come, and says something."""
    found = None
    try:
        read()
    except DataError as error:
        found = str(error)
    assert found is None or 0 < len(found.strip()) < 3000
    return found is None


def outcomes(read: Callable[[bytes], object], content: bytes, *, seed: int, num: int = NUM) -> set[bool]:
    return {survives(lambda damaged=damaged: read(damaged)) for damaged in mutations(content, seed=seed, num=num)}  # type: ignore[misc]


@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
def test_labels_files(tmp_path: Path, delimiter: str) -> None:
    path = tmp_path / "labels.csv"

    def read(content: bytes) -> None:
        path.write_bytes(content)
        labels, _ = read_labels_file(path, NAMES, tmp_path / "images")
        assert set(labels) <= set(NAMES)

    assert outcomes(read, LABELS.replace(",", delimiter).encode(), seed=1) == {True, False}


@pytest.mark.parametrize(
    ("suffix", "content"),
    [(".cls", "cat\n"), (".json", '{"width": 3, "label": "cat", "boxes": [[1, 2.5], null]}'), (".txt", "cat\n")],
)
def test_labels_beside_images(tmp_path: Path, suffix: str, content: str) -> None:
    for name in ("a.png", "b.png"):
        (tmp_path / name).touch()
    (tmp_path / f"b{suffix}").write_text("dog" if suffix != ".json" else '{"label": "dog"}')

    def read(damaged: bytes) -> None:
        (tmp_path / f"a{suffix}").write_bytes(damaged)
        labels, _ = read_labels_beside(tmp_path, ["a.png", "b.png"])
        assert set(labels) <= {"a.png", "b.png"}

    assert True in outcomes(read, content.encode(), seed=2)


def read_archive(path: Path) -> None:
    """All that a command does with it before it decodes."""
    source = open_images(path)
    scan = index_images(source, workers=1)
    assert len(scan) + len(scan.bad) <= len(source)
    if len(scan):
        read_labeling(path, scan.names, source.names, labels=None, use_labels=True)


FILES = {"cat/1.png": png(picture(1)), "cat/2.png": png(picture(2)), "dog/3.png": png(picture(3)),
         "dog/4.png": png(picture(4)), "dog/4.cls": b"dog", "x": b"GIF89a"}  # fmt: skip


@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED], ids=["stored", "deflated"])
@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_zip_archives(tmp_path: Path, method: int) -> None:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", method) as archive:
        for name, content in FILES.items():
            archive.writestr(zipfile.ZipInfo(name), content, method)

    def read(damaged: bytes) -> None:
        (tmp_path / "a.zip").write_bytes(damaged)
        read_archive(tmp_path / "a.zip")

    assert outcomes(read, buffer.getvalue(), seed=3) == {True, False}


@pytest.mark.parametrize("mode", ["w", "w:gz"])
@pytest.mark.parametrize("form", [tarfile.PAX_FORMAT, tarfile.GNU_FORMAT, tarfile.USTAR_FORMAT])
def test_tar_archives(tmp_path: Path, mode: str, form: int) -> None:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode=mode, format=form) as archive:  # type: ignore[call-overload]
        for name, content in FILES.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            archive.addfile(entry, io.BytesIO(content))
        link = tarfile.TarInfo("dog/5.png")
        link.type, link.linkname = tarfile.SYMTYPE, "4.png"
        archive.addfile(link)

    def read(damaged: bytes) -> None:
        (tmp_path / "a.tar").write_bytes(damaged)
        read_archive(tmp_path / "a.tar")

    assert outcomes(read, buffer.getvalue(), seed=4, num=NUM // 2) >= {False}


@pytest.mark.parametrize("file", ["images.csv", "images.json"])
def test_records_of_a_run(tmp_path: Path, file: str) -> None:
    own = load(make(tmp_path / "images", cat=4, dog=4, unlabeled=4), tmp_path)
    run = record(own, tmp_path / "run")
    content = (run / file).read_bytes()

    def read(damaged: bytes) -> None:
        (run / file).write_bytes(damaged)
        recorded_path(run)
        again = load_recorded(None, run=run, class_names=own.dataset.class_names)
        assert set(again.train.labels.tolist()) <= {-1, 0, 1}

    assert outcomes(read, content, seed=5, num=NUM // 2) >= {False}  # of a hash, each letter counts


def test_names_of_files_of_any_bytes(tmp_path: Path) -> None:
    for number, name in enumerate(mutations("dog/café 1.png".encode(), seed=6)):
        folder = tmp_path / str(number)
        (folder / "cat").mkdir(parents=True)
        for one in ("1.png", "2.png"):
            (folder / "cat" / one).write_bytes(png(picture(1)))
        path = os.path.join(os.fsencode(folder), name.replace(b"\0", b"").strip(b"/"))  # noqa: PTH118
        with suppress(OSError):  # too long for the file system, or a folder
            os.makedirs(os.path.dirname(path), exist_ok=True)  # noqa: PTH103, PTH120
            Path(os.fsdecode(path)).write_bytes(png(picture(2)))
        survives(lambda folder=folder: read_archive(folder))  # type: ignore[misc]


def test_json_with_every_kind_of_value(tmp_path: Path) -> None:
    (tmp_path / "a.png").touch()
    for value in (None, True, 0, -1, 1.5, -1.0, 10**400, "", "x" * 10_000, "\ud800", [], {}, [[]], {"label": {}}):
        for wrapped in (value, {"label": value}, {"cls": value, "label": None}):
            (tmp_path / "a.json").write_text(json.dumps(wrapped))
            survives(lambda: read_labels_beside(tmp_path, ["a.png"]))
