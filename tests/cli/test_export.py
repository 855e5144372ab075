import hashlib
import io
import json
import sys
from pathlib import Path

import click
import numpy as np
import pytest
from rich.console import Console

from improved_gan.cli.export import ExportOptions, export_run
from improved_gan.cli.shared import TrainingOptions
from improved_gan.cli.training import run_training
from improved_gan.data import load_digits
from improved_gan.export.errors import ExportError
from improved_gan.training.errors import RunError


def go(run: Path, out: Path, **options: object) -> tuple[dict, str]:
    screen = io.StringIO()
    card = export_run(ExportOptions(run, out, **options), Console(file=screen, width=200))  # type: ignore[arg-type]
    return card, screen.getvalue()


def test_the_file_its_card_and_its_errors_on_the_test_images(trained_run: Path, tmp_path: Path) -> None:
    onnxruntime = pytest.importorskip("onnxruntime")
    card, text = go(trained_run, tmp_path / "new" / "digits.onnx")
    names = sorted(path.name for path in (tmp_path / "new").iterdir())
    assert names == ["digits.card.json", "digits.card.md", "digits.onnx"]
    assert json.loads((tmp_path / "new" / "digits.card.json").read_text()) == json.loads(json.dumps(card))
    content = (tmp_path / "new" / "digits.onnx").read_bytes()
    assert (card["bytes"], card["sha256"]) == (len(content), hashlib.sha256(content).hexdigest())
    assert max(card["largest_difference"].values()) <= 1e-5
    assert "agrees with the run" in text
    session = onnxruntime.InferenceSession(content, providers=["CPUExecutionProvider"])
    test = load_digits().test
    probabilities, _ = session.run(None, {"images": test.images.permute(0, 2, 3, 1).numpy()})
    wrong = int((probabilities.argmax(1) != test.labels.numpy()).sum())
    assert wrong == card["evaluation"]["wrong"]
    assert card["training"]["labels"]["number"] == 50
    np.testing.assert_allclose(probabilities.sum(1), 1, atol=1e-5)


def test_a_file_that_does_not_agree_is_not_kept(
    trained_run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "x.pt2").write_text("precious")

    def refuse(*_: object) -> None:
        raise ExportError("does not agree")

    monkeypatch.setattr("improved_gan.export.serialize.largest_differences", refuse)
    with pytest.raises(ExportError, match="does not agree"):
        go(trained_run, tmp_path / "x.pt2", format="torch", head="features")
    assert [path.name for path in tmp_path.iterdir()] == ["x.pt2"]
    assert (tmp_path / "x.pt2").read_text() == "precious"


def test_what_does_not_fit_is_told_before_anything_is_written(trained_run: Path, tmp_path: Path) -> None:
    with pytest.raises(RunError, match="is not a run folder"):
        go(tmp_path / "nowhere", tmp_path / "x.onnx")
    with pytest.raises(ExportError, match=r"ends in \.pt2: give --out x\.pt2"):
        go(trained_run, tmp_path / "x.onnx", format="torch")
    with pytest.raises(ExportError, match="--format must be one of onnx, torch, hub; got 'tf'"):
        go(trained_run, tmp_path / "x.onnx", format="tf")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("format", "out", "message"),
    [("onnx", "a.onnx", "is a folder: name a file in it"), ("hub", "file", "is a file: name a folder"),
     ("torch", "file/x.pt2", "is a file, so .* cannot be written")],
)  # fmt: skip
def test_a_path_that_cannot_be_written_is_told_before_the_run_is_loaded(
    format: str, out: str, message: str, tmp_path: Path
) -> None:
    (tmp_path / "file").touch()
    (tmp_path / "a.onnx").mkdir()
    with pytest.raises(click.BadParameter, match=message):
        ExportOptions(tmp_path / "nowhere", tmp_path / out, format=format)


def test_an_unfinished_run_is_refused_unless_asked_for(
    trained_run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    options = TrainingOptions(epochs=2, out=tmp_path / "run", threads=1, device="cpu")
    run = run_training("digits", options, Console(file=io.StringIO()))
    lines = (run / "log.jsonl").read_text().splitlines()
    (run / "log.jsonl").write_text("\n".join(lines[:-1]))
    with pytest.raises(RunError, match=r"is not finished \(step \d+.*of 2 epochs\).*--allow-incomplete"):
        go(run, tmp_path / "x.pt2", format="torch")
    card, _ = go(run, tmp_path / "x.pt2", format="torch", head="generator", allow_incomplete=True)
    assert card["training"]["epochs_planned"] == 2


def test_without_onnx_one_line_names_the_extra(
    trained_run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "onnx", None)
    with pytest.raises(ExportError, match=r"pip install 'improved-gan\[export\]', or take --format torch"):
        go(trained_run, tmp_path / "x.onnx")
    assert not list(tmp_path.iterdir())
