import io
import os
import signal
from pathlib import Path

import pytest
from rich.console import Console

from improved_gan.data import DataError
from improved_gan.embeddings.extraction import FeatureExtraction, invalid_images, valid_names
from improved_gan.metrics.evaluation_images import EvaluationImages, image_files
from improved_gan.metrics.feature_cache import FeatureCache
from improved_gan.training.errors import InterruptedRunError
from tests.pictures import folder_of, quick_network


def job(tmp_path: Path, *, skip_invalid: bool = False) -> tuple[FeatureExtraction, io.StringIO]:
    screen = io.StringIO()
    console = Console(file=screen, width=200)
    return FeatureExtraction(quick_network(), FeatureCache(tmp_path / "cache"), console, skip_invalid), screen


def images_in(folder: Path) -> EvaluationImages:
    return image_files(folder, quick_network())


def test_bad_images_are_listed_and_left_out_only_when_asked(tmp_path: Path) -> None:
    folder = folder_of(tmp_path / "a", 40)
    (folder / "005.png").write_bytes(b"nothing")
    (folder / "035.png").write_bytes((folder / "035.png").read_bytes()[:60])
    strict, _ = job(tmp_path)
    with pytest.raises(
        DataError, match=r"2 of 40 images cannot be used: 005\.png cannot be read.*; 035\.png .*--skip-invalid"
    ):
        strict.run(images_in(folder))
    lenient, screen = job(tmp_path, skip_invalid=True)
    features = lenient.run(images_in(folder))
    assert screen.getvalue().count("warning: skipped: 0") == 2
    assert [name for name, _ in invalid_images(images_in(folder), features)] == ["005.png", "035.png"]
    names = valid_names(images_in(folder), features)
    assert len(names) == 38
    assert names[5] == "006.png"


def test_nothing_good_is_an_error_even_then(tmp_path: Path) -> None:
    folder = folder_of(tmp_path / "a", 2)
    for file in folder.iterdir():
        file.write_bytes(b"nothing")
    lenient, _ = job(tmp_path, skip_invalid=True)
    with pytest.raises(DataError, match="none of the 2 images"):
        lenient.run(images_in(folder))


def test_a_signal_stops_after_the_chunk_and_the_next_start_goes_on(tmp_path: Path) -> None:
    whole = images_in(folder_of(tmp_path / "a", 100))
    calls = []

    def decode(content: bytes):  # type: ignore[no-untyped-def]
        calls.append(content)
        if len(calls) == 10:
            os.kill(os.getpid(), signal.SIGTERM)
        return whole.decode(content)

    stopping = EvaluationImages(whole.label, whole.names, whole._stream, decode)
    first, _ = job(tmp_path)
    with pytest.raises(InterruptedRunError, match="run the same command to continue") as caught:
        first.run(stopping)
    assert caught.value.signal_number == signal.SIGTERM
    assert len(list((tmp_path / "cache").rglob("*.safetensors"))) >= 1
    again, _ = job(tmp_path)
    assert len(again.run(whole).keys) == 4
