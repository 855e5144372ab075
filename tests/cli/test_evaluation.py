import io
import json
import tarfile
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from rich.console import Console

from improved_gan.cli.evaluate import EvaluateOptions
from improved_gan.cli.evaluation import run_evaluation
from improved_gan.data import DataError
from improved_gan.data.value_range import ValueRange
from improved_gan.metrics import MetricError
from improved_gan.metrics.evaluation import METRICS
from tests.command_line import cli, ranks
from tests.pictures import folder_of

QUICK = "tests.pictures:color_logits"


def go(source: Path | tuple[Path, ...], cache: Path, **options: Any) -> tuple[dict[str, Any], str]:
    screen = io.StringIO()
    sources = source if isinstance(source, tuple) else (source,)
    chosen = {"network": QUICK, "device": "cpu", "num_splits": 4} | options
    card = run_evaluation(EvaluateOptions(sources, cache=cache, **chosen), Console(file=screen, width=200))
    return card, screen.getvalue()


@pytest.fixture
def folders(tmp_path: Path) -> tuple[Path, Path, Path]:
    return folder_of(tmp_path / "a", 70), folder_of(tmp_path / "b", 60, seed=1000), tmp_path / "cache"


def test_a_report_with_every_metric_and_its_provenance(folders: tuple[Path, Path, Path], tmp_path: Path) -> None:
    samples, real, cache = folders
    card, text = go(samples, cache, reference=real, metrics="all", json=tmp_path / "new" / "report.json")
    assert list(card["metrics"]) == list(METRICS)
    stored = json.loads((tmp_path / "new" / "report.json").read_text())
    assert stored == json.loads(json.dumps(card))
    assert stored["network"]["name"] == QUICK
    assert len(stored["network"]["sha256"]) == 64
    assert stored["source"]["images"] == 70
    assert stored["versions"]["torch"]
    assert stored["versions"]["onnxruntime"] in (version("onnxruntime"), "not installed")
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


def test_a_note_on_the_precision_goes_to_stderr(
    folders: tuple[Path, Path, Path], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def check(network: Any, exact: Any, images: Any, *, asked: str, note: Any) -> tuple[Any, list[str]]:
        note(f"{asked} is slow")
        return network, []

    monkeypatch.setattr("improved_gan.cli.evaluation.check_precision", check)
    _, text = go(folders[0], folders[2], precision="bfloat16")
    assert capsys.readouterr().err == "note: bfloat16 is slow\n"
    assert "slow" not in text


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
    card, text = go(trained_run, tmp_path, network=str(trained_run), num=200, num_splits=2)
    assert 1 < card["metrics"]["is"]["mean"] <= 10
    assert card["metrics"]["is"]["num_classes"] == 10
    assert "200 samples, seed 0" in text
    assert "digits classifier of this library" in text


def test_a_run_is_no_reference(trained_run: Path, folders: tuple[Path, Path, Path]) -> None:
    with pytest.raises(DataError, match=r"takes real images, and .* is a run: give the images that it was trained on"):
        go(folders[0], folders[2], reference=trained_run)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"metrics": "fid"}, "fid compares with real images: name them with --reference"),
        ({"metrics": "is,speed"}, "there is no metric 'speed'"),
        ({"num_splits": 71}, "71 splits need at least 71 images; got 70"),
        ({"reference": Path("/nowhere")}, "there is no /nowhere"),
        ({"reference": Path("/nowhere.npz")}, "there is no /nowhere.npz"),
    ],
)
def test_wrong_wishes(folders: tuple[Path, Path, Path], options: dict[str, Any], message: str) -> None:
    samples, _, cache = folders
    with pytest.raises((MetricError, DataError), match=message):
        go(samples, cache, **options)


@pytest.mark.parametrize("suffix", ["", ".npz"])
def test_what_does_not_exist_is_told_before_the_network_is_loaded(
    folders: tuple[Path, Path, Path], suffix: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("improved_gan.cli.evaluation.choose_network", lambda *_, **__: pytest.fail("loaded"))
    samples, real, cache = folders
    missing = real.with_name(f"missing{suffix}")
    for sources, reference in (((samples, missing), real), ((samples,), missing)):
        with pytest.raises(DataError, match=f"there is no {missing}: give images"):
            go(sources, cache, reference=reference)


def test_images_in_an_array_give_the_numbers_of_their_files(folders: tuple[Path, Path, Path], tmp_path: Path) -> None:
    samples, _, cache = folders
    pixels = np.stack([np.array(Image.open(file)) for file in sorted(samples.iterdir())])
    np.savez(tmp_path / "a.npz", pixels)
    np.save(tmp_path / "a.npy", pixels)
    expected, _ = go(samples, cache, metrics="is,vendi")
    for name in ("a.npz", "a.npy"):
        found, _ = go(tmp_path / name, cache, metrics="is,vendi")
        assert found["metrics"] == expected["metrics"]
        assert found["network"] == expected["network"]


def test_features_need_no_network(folders: tuple[Path, Path, Path], tmp_path: Path) -> None:
    source = np.random.default_rng(0)
    np.save(tmp_path / "a.npy", source.normal(size=(40, 5)))
    np.savez(tmp_path / "b.npz", features=source.normal(size=(50, 5)), network="net", sha256="ab")
    card, text = go(tmp_path / "a.npy", folders[2], reference=tmp_path / "b.npz", network="no_such:network")
    assert list(card["metrics"]) == ["fid", "kid"]
    assert (card["network"]["name"], card["network"]["resize"]) == ("net", "unknown")
    assert any("a.npy names no network" in text for text in card["warnings"])
    assert "network net" in text
    with pytest.raises(MetricError, match="--num 41 is more than the 40 rows"):
        go(tmp_path / "a.npy", folders[2], num=41)
    with pytest.raises(MetricError, match="is needs logits"):
        go(tmp_path / "a.npy", folders[2], metrics="is")
    np.save(tmp_path / "few.npy", source.normal(size=(4, 5)))
    with pytest.raises(MetricError, match="5 nearest neighbors need at least 5 other images; got 3"):
        go(tmp_path / "a.npy", folders[2], reference=tmp_path / "few.npy", metrics="density-coverage")


def test_all_of_features_are_those_that_need_no_scores(folders: tuple[Path, Path, Path], tmp_path: Path) -> None:
    source, names = np.random.default_rng(0), np.array([f"{row}.png" for row in range(40)])
    rows = source.normal(size=(40, 5))
    rows[[7, 9]] = rows[[3, 3]]
    np.savez(tmp_path / "a.npz", features=rows, names=names)
    np.save(tmp_path / "b.npy", source.normal(size=(50, 5)))
    card, text = go(tmp_path / "a.npz", folders[2], reference=tmp_path / "b.npy", metrics="all")
    assert set(card["metrics"]) == set(METRICS) - {"is"}
    assert "left out: is needs logits" in " ".join(text.split())
    assert any(
        "2 of 40 images repeat an earlier one (7.png is 3.png, 9.png is 3.png)" in one for one in card["warnings"]
    )
    assert {tuple(sorted(pair)) for pair in card["metrics"]["birthday"]["nearest"][:3]} >= {("3.png", "7.png")}
    ours, theirs, _ = card["metrics"]["nearest"]["nearest"][0]
    assert ours in names
    assert theirs.startswith("row ")


def test_images_that_are_there_twice_are_named(folders: tuple[Path, Path, Path]) -> None:
    samples, _, cache = folders
    assert not [line for line in go(samples, cache)[0]["warnings"] if "repeat" in line]
    (samples / "copy.png").write_bytes((samples / "003.png").read_bytes())
    card, _ = go(samples, cache)
    assert [line for line in card["warnings"] if "1 of 71 images repeats an earlier one (copy.png is 003.png)" in line]


def test_statistics_against_statistics(folders: tuple[Path, Path, Path], tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", mu=np.zeros(3), sigma=np.eye(3))
    np.savez(tmp_path / "b.npz", mu=np.ones(3), sigma=np.eye(3))
    card, _ = go(tmp_path / "a.npz", folders[2], reference=tmp_path / "b.npz")
    assert card["metrics"]["fid"]["value"] == pytest.approx(3)
    with pytest.raises(MetricError, match="enough for fid only"):
        go(tmp_path / "a.npz", folders[2], metrics="vendi")
    with pytest.raises(MetricError, match="statistics are not enough"):
        go(folders[0], folders[2], metrics="kid", reference=tmp_path / "b.npz")


def test_options_that_change_nothing_are_named(folders: tuple[Path, Path, Path], tmp_path: Path) -> None:
    samples, _, cache = folders
    np.save(tmp_path / "f.npy", np.random.default_rng(0).normal(size=(40, 5)))
    np.save(tmp_path / "i.npy", np.random.default_rng(0).integers(0, 256, (9, 8, 8, 3), dtype=np.uint8))
    card, _ = go(tmp_path / "f.npy", cache, precision="bfloat16", value_range="0:1", metrics="vendi")
    lines = [text for text in card["warnings"] if "without effect" in text]
    assert [line.split(", as")[0] for line in lines] == ["without effect: --network, --precision, --value-range"]
    plain, ranged = go(tmp_path / "i.npy", cache)[0], go(tmp_path / "i.npy", cache, value_range="0:1")[0]
    (line,) = [one for one in ranged["warnings"] if one not in plain["warnings"]]
    assert line.startswith("--value-range changes no pixels, as there are no image files")
    assert ranged["metrics"] == plain["metrics"]
    card, text = go(samples, cache, value_range="0:200")
    assert "after values 0:200" in text
    assert not [one for one in card["warnings"] if "--value-range" in one]


def test_arrays_and_a_run_are_compared_with_statistics_of_their_value_range(
    folders: tuple[Path, Path, Path], trained_run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Pixels of arrays and samples are 0 to 255 already; the range says which values of the files these were."""
    _, real, cache = folders
    arrays = tmp_path / "i.npy"
    np.save(arrays, np.random.default_rng(0).integers(0, 256, (40, 8, 8, 3), dtype=np.uint8))
    go(real, cache, value_range="0:200", save_statistics=tmp_path / "r.npz")
    chosen: dict[str, Any] = {"reference": tmp_path / "r.npz", "metrics": "fid", "num": 40}
    assert go(arrays, cache, value_range="0:200", **chosen)[0]["metrics"]["fid"]["value"] > 0
    with pytest.raises(MetricError, match="another resize"):
        go(arrays, cache, **chosen)
    named = go(trained_run, cache, value_range="0:200", **chosen)[0]
    monkeypatch.setattr("improved_gan.cli.evaluation_inputs.stored_range", lambda _: ValueRange(0, 200))
    assert go(trained_run, cache, **chosen)[0]["metrics"] == named["metrics"]  # its own range


def test_a_number_of_images_is_not_drawn_from_statistics(folders: tuple[Path, Path, Path], tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", mu=np.zeros(3), sigma=np.eye(3))
    np.savez(tmp_path / "b.npz", mu=np.ones(3), sigma=np.eye(3))
    with pytest.raises(MetricError, match=r"--num draws images, and .*a\.npz holds statistics"):
        go(tmp_path / "a.npz", folders[2], reference=tmp_path / "b.npz", num=10)
    np.save(tmp_path / "f.npy", np.random.default_rng(0).normal(size=(40, 3)))
    sources = (tmp_path / "f.npy", tmp_path / "a.npz")
    card, _ = go(sources, folders[2], reference=tmp_path / "b.npz", num=20, replicates=0)
    assert card["models"][0]["source"]["images"] == 20
    assert any("--num draws nothing from" in one and "a.npz" in one for one in card["models"][1]["warnings"])
    _, text = go(tmp_path / "a.npz", folders[2], reference=tmp_path / "b.npz")
    assert "a.npz: an unknown number of images" in text
    assert "an unknown number against an unknown number of images" in text


def test_models_of_two_networks_are_not_compared(folders: tuple[Path, Path, Path], tmp_path: Path) -> None:
    for width in (3, 4):
        np.save(tmp_path / f"{width}.npy", np.random.default_rng(0).normal(size=(20, width)))
    with pytest.raises(MetricError, match="the models have 3, 4 features an image"):
        go((tmp_path / "3.npy", tmp_path / "4.npy"), folders[2], metrics="vendi")


def test_features_of_another_network_are_refused(folders: tuple[Path, Path, Path], tmp_path: Path) -> None:
    for name in ("one", "two"):
        np.savez(
            tmp_path / f"{name}.npz", features=np.random.default_rng(0).normal(size=(9, 12)), network=name, sha256="a"
        )
    with pytest.raises(MetricError, match=r"two\.npz was made with two .* scored with one .*: make the features again"):
        go(tmp_path / "two.npz", folders[2], reference=tmp_path / "one.npz")
    with pytest.raises(MetricError, match=r"one\.npz was made with one .* scored with tests"):
        go(folders[0], folders[2], reference=tmp_path / "one.npz")
    np.savez(tmp_path / "statistics.npz", mu=np.zeros(12), sigma=np.eye(12), count=9, network="two", sha256="a")
    with pytest.raises(MetricError, match=r"one\.npz was made with one .* scored with two"):
        go(tmp_path / "one.npz", folders[2], reference=tmp_path / "statistics.npz")
    np.save(tmp_path / "plain.npy", np.random.default_rng(0).normal(size=(9, 12)))
    _, text = go(tmp_path / "plain.npy", folders[2], metrics="vendi")
    assert "network unknown, unknown precision" in text


def test_several_sources_are_compared_and_plotted(folders: tuple[Path, Path, Path], tmp_path: Path) -> None:
    samples, real, cache = folders
    np.savez(tmp_path / "noise.npz", np.random.default_rng(0).integers(0, 256, (64, 12, 10, 3), dtype=np.uint8))
    chosen: dict[str, Any] = {"reference": real, "metrics": "is,fid,density-coverage"}
    card, text = go(
        (samples, tmp_path / "noise.npz"), cache, replicates=5, plot=tmp_path / "new" / "p.png",
        json=tmp_path / "c.json", **chosen,
    )  # fmt: skip
    assert json.loads((tmp_path / "c.json").read_text()) == json.loads(json.dumps(card))
    single, _ = go(samples, cache, **chosen)
    assert card["models"][0]["metrics"] == single["metrics"]
    assert card["comparison"]["numbers"]["FID"]["values"][0] == single["metrics"]["fid"]["value"]
    assert (tmp_path / "new" / "p.png").read_bytes().startswith(b"\x89PNG")
    for words in ("A: ", "B: ", "A - B", "Inception score", "coverage", "5 bootstrap replicates"):
        assert words in text


def test_one_process_and_two_agree_to_the_last_bit(folders: tuple[Path, Path, Path], tmp_path: Path) -> None:
    samples, real, _ = folders
    words = ["evaluate", samples, "--reference", real, "--network", QUICK, "--num-splits", "4", "--device", "cpu"]
    cards = []
    for size in (1, 2):
        more = ["--cache", tmp_path / f"cache-{size}", "--json", tmp_path / f"{size}.json"]
        with ranks(*words, *more, size=size) as started:
            screens = [one.communicate(timeout=120) for one in started]
            assert [one.returncode for one in started] == [0] * size, screens
        assert "".join(screen for screen, _ in screens).count("Inception score") == 1
        cards.append(json.loads((tmp_path / f"{size}.json").read_text()))
    assert cards[0]["metrics"] == cards[1]["metrics"]
    assert (cards[0]["versions"]["processes"], cards[1]["versions"]["processes"]) == ("1", "2")


def test_an_expected_error_is_one_line_and_exit_code_2(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    words = ["evaluate", tmp_path / "empty", "--network", QUICK]
    done = cli(*words)
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1
    assert "holds no images" in done.stderr
