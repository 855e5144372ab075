import csv

import pytest

from improved_gan.theory import demos
from improved_gan.theory.demos import DEMOS, divergences_demo, sampled_minibatch_js, show
from improved_gan.theory.divergences import bernoulli_minibatch_divergence


@pytest.mark.parametrize("num_draws", [1, 8])
@pytest.mark.parametrize("q", [0.05, 0.4, 0.8])
def test_a_discriminators_loss_gives_the_exact_divergence(q: float, num_draws: int) -> None:
    exact = bernoulli_minibatch_divergence(0.2, q, num_draws)
    assert sampled_minibatch_js(0.2, q, num_draws, num_batches=100_000) == pytest.approx(float(exact), abs=0.008)


def test_files_and_text(tmp_path) -> None:
    files, words = divergences_demo(tmp_path, 0)
    assert [file.name for file in files] == [
        "divergences.png", "divergences.csv", "divergences_gaussian.csv", "divergences_sampled.csv",
    ]  # fmt: skip
    assert all(file.stat().st_size < 200_000 for file in files)
    assert "25% (N = 1), 29% (N = 2), 32% (N = 3), 48% (N = 8)" in words
    rows = list(csv.DictReader((tmp_path / "divergences.csv").read_text().splitlines()))
    assert len(rows) == 4 * 401
    row = rows[2 * 401 + 320]  # N = 3, q = 0.8
    assert (row["num_draws"], row["q"]) == ("3", "0.8")
    assert float(row["js"]) == pytest.approx(float(bernoulli_minibatch_divergence(0.2, 0.8, 3)), rel=1e-9)
    assert rows[0]["preference_js"] == "nan"  # an end of the range, where the loss is not defined by counts


def test_an_unknown_name_is_refused_with_the_nearest(tmp_path) -> None:
    with pytest.raises(ValueError, match=r"'divergence': did you mean divergences\? There are game, divergences"):
        show("divergence", tmp_path)
    with pytest.raises(ValueError, match=r"'zzz': There are game"):
        show("zzz", tmp_path)
    with pytest.raises(ValueError, match="seed must be 0 or more; got -1"):
        show("game", tmp_path, seed=-1)


def test_creates_the_folder_and_passes_the_seed(tmp_path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(demos.DEMOS, "game", lambda out, seed: ([out / f"{seed}.png"], "look"))
    shown = show("game", tmp_path / "deep" / "down", seed=7)
    assert (tmp_path / "deep" / "down").is_dir()
    assert shown.files == (tmp_path / "deep" / "down" / "7.png",)
    assert shown.text == "look"


def test_names_are_those_of_the_command() -> None:
    assert list(DEMOS) == ["game", "divergences", "smoothed-discriminator", "mode-collapse"]
