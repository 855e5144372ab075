import io
import json
import os
import subprocess
import sys
import tarfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from rich.console import Console

from improved_gan.cli.evaluate import EvaluateOptions
from improved_gan.cli.evaluation import run_evaluation
from improved_gan.data import DataError
from improved_gan.metrics import MetricError
from tests.pictures import folder_of

ROOT = Path(__file__).parents[2]
QUICK = "tests.pictures:color_logits"


def go(source: Path, cache: Path, **options: Any) -> tuple[dict[str, Any], str]:
    screen = io.StringIO()
    chosen = {"classifier": QUICK, "device": "cpu", "num_splits": 4} | options
    card = run_evaluation(EvaluateOptions(source, cache=cache, **chosen), Console(file=screen, width=200))
    return card, screen.getvalue()


@pytest.fixture
def folders(tmp_path: Path) -> tuple[Path, Path, Path]:
    return folder_of(tmp_path / "a", 70), folder_of(tmp_path / "b", 60, seed=1000), tmp_path / "cache"


def test_a_report_with_every_metric_and_its_provenance(folders: tuple[Path, Path, Path], tmp_path: Path) -> None:
    samples, real, cache = folders
    card, text = go(samples, cache, reference=real, metrics="all", json=tmp_path / "new" / "report.json")
    assert list(card["metrics"]) == ["is", "fid", "kid", "precision-recall", "nearest", "birthday"]
    stored = json.loads((tmp_path / "new" / "report.json").read_text())
    assert stored == json.loads(json.dumps(card))
    assert stored["network"]["name"] == QUICK
    assert len(stored["network"]["sha256"]) == 64
    assert stored["source"]["images"] == 70
    assert stored["versions"]["torch"]
    assert stored["metrics"]["nearest"]["nearest"][0][0].endswith(".png")
    for word in (
        "Inception score",
        "Fréchet distance",
        "kernel inception distance",
        "precision",
        "recall",
        "copies",
        "distinct",
    ):
        assert word in text


def test_statistics_by_file_give_the_same_distance(folders: tuple[Path, Path, Path], tmp_path: Path) -> None:
    samples, real, cache = folders
    go(real, cache, save_statistics=tmp_path / "s.npz")
    from_file, _ = go(samples, cache, reference=tmp_path / "s.npz")
    from_images, _ = go(samples, cache, reference=real)
    assert list(from_file["metrics"]) == ["is", "fid"]
    assert from_file["metrics"]["fid"]["value"] == pytest.approx(from_images["metrics"]["fid"]["value"], rel=1e-9)


def test_a_precision_that_does_not_apply_gives_a_warning(folders: tuple[Path, Path, Path]) -> None:
    card, _ = go(folders[0], folders[2], precision="bfloat16")
    assert any("--precision bfloat16 applies to Inception only" in text for text in card["warnings"])


def test_statistics_of_other_programs_have_no_number_of_images(
    folders: tuple[Path, Path, Path], tmp_path: Path
) -> None:
    np.savez(tmp_path / "s.npz", mu=np.zeros(12), sigma=np.eye(12))
    card, text = go(folders[0], folders[2], reference=tmp_path / "s.npz")
    assert card["metrics"]["fid"]["reference_images"] is None
    assert "against an unknown number of images" in text


def test_an_archive_gives_the_numbers_of_its_folder(folders: tuple[Path, Path, Path], tmp_path: Path) -> None:
    samples, _, cache = folders
    with tarfile.open(tmp_path / "a.tar", "w") as archive:
        for file in sorted(samples.iterdir()):
            archive.add(file, file.name)
    folder, _ = go(samples, cache)
    packed, _ = go(tmp_path / "a.tar", tmp_path / "other")
    assert packed["metrics"] == folder["metrics"]


def test_a_number_of_images_drawn_once_and_for_all(folders: tuple[Path, Path, Path]) -> None:
    samples, _, cache = folders
    first, _ = go(samples, cache, num=50)
    again, _ = go(samples, cache, num=50)
    assert first["source"]["images"] == 50
    assert first["metrics"] == again["metrics"]
    with pytest.raises(MetricError, match="--num 71 is more than the 70 images"):
        go(samples, cache, num=71)


def test_a_run_is_sampled_and_scored_with_its_own_classifier(trained_run: Path, tmp_path: Path) -> None:
    card, text = go(trained_run, tmp_path, classifier=str(trained_run), num=200, num_splits=2)
    assert 1 < card["metrics"]["is"]["mean"] <= 10
    assert card["metrics"]["is"]["num_classes"] == 10
    assert "200 samples, seed 0" in text
    assert "digits classifier of this library" in text


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"metrics": "fid"}, "fid compares with real images: name them with --reference"),
        ({"metrics": "is,speed"}, "there is no metric 'speed'"),
        ({"metrics": "kid", "reference": Path("s.npz")}, "statistics are not enough"),
        ({"num_splits": 71}, "71 splits need at least 71 images; got 70"),
        ({"reference": Path("/nowhere")}, "there is no /nowhere"),
        ({"reference": Path("/nowhere.npz")}, "cannot be read as a statistics file"),
    ],
)
def test_wrong_wishes(folders: tuple[Path, Path, Path], options: dict[str, Any], message: str) -> None:
    samples, _, cache = folders
    with pytest.raises((MetricError, DataError), match=message):
        go(samples, cache, **options)


def test_the_command_and_torchrun_agree_to_the_last_bit(folders: tuple[Path, Path, Path], tmp_path: Path) -> None:
    samples, real, _ = folders
    words = ["evaluate", samples, "--reference", real, "--classifier", QUICK, "--num-splits", "4", "--device", "cpu"]
    launch = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    cards = []
    for name, launcher in (("one", []), ("two", launch)):
        more = ["--cache", tmp_path / name, "--json", tmp_path / f"{name}.json"]
        command = [sys.executable, *launcher, "-m", "improved_gan", *words, *more]
        environment = os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1", "GLOO_SOCKET_IFNAME": "lo"}
        done = subprocess.run(list(map(str, command)), capture_output=True, text=True, env=environment, check=False)
        assert done.returncode == 0, done.stderr
        assert done.stdout.count("Inception score") == 1
        cards.append(json.loads((tmp_path / f"{name}.json").read_text()))
    assert cards[0]["metrics"] == cards[1]["metrics"]
    assert (cards[0]["versions"]["processes"], cards[1]["versions"]["processes"]) == ("1", "2")


def test_an_expected_error_is_one_line_and_exit_code_2(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    words = ["evaluate", tmp_path / "empty", "--classifier", QUICK]
    done = subprocess.run(
        [sys.executable, "-m", "improved_gan", *map(str, words)],
        capture_output=True, text=True, env=os.environ | {"PYTHONPATH": str(ROOT)}, check=False,
    )  # fmt: skip
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1
    assert "holds no images" in done.stderr
