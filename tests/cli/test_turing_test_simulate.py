import math
from pathlib import Path

import pytest
from click.testing import CliRunner

from improved_gan.cli.turing_test import turing_test
from improved_gan.turing_test.preferences import read_preferences
from improved_gan.turing_test.votes import read_votes

RUNNER = CliRunner()


def run(*words: object) -> str:
    found = RUNNER.invoke(turing_test, ["simulate", *map(str, words)], catch_exceptions=False)
    assert found.exit_code == 0, found.output
    return found.output


def test_preferences_are_simulated_ranked_and_written(tmp_path) -> None:
    out = tmp_path / "new" / "p.csv"
    text = run(
        "--design", "preference", "--judges", 20, "--trials", 20, "--score", "a=1", "--score", "b=-1", "--out", out
    )
    assert "true score of a: 0.9" in text
    assert "to detect a preference of 55%" in text
    assert len(read_preferences(out)) == 400


def test_odd_one_out_is_simulated_against_a_third() -> None:
    """Told apart at chance on average, d' of judges N(0, s^2): E[Phi(x)^2] = arctan(sqrt(3 + 2 s^2)) / pi."""
    text = run("--design", "odd-one-out", "--accuracy", 0.500001, "--judges", 30, "--trials", 30)
    assert f"true value of generated: {math.atan(math.sqrt(3 + 2 * 0.16)) / math.pi:.1%} correct" in text
    assert "above chance with odd-one-out" in text


def test_votes_replace_a_file_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Or the old file stays."""
    words, out = ("--judges", 3, "--trials", 9, "--out"), tmp_path / "new" / "v.csv"
    run(*words, out)
    assert len(read_votes(out).judge) == 27
    out.write_text("old")
    monkeypatch.setattr(Path, "replace", lambda *_: pytest.fail("stopped"))
    with pytest.raises(pytest.fail.Exception):
        run(*words, out)
    assert [one.read_text() for one in out.parent.iterdir()] == ["old"]


def test_coverage_of_a_few_studies() -> None:
    words = ["--judges", 8, "--trials", 8, "--studies", 3]
    assert "of 3 studies" in run("--design", "preference", *words)
    assert "of 3 studies" in run("--design", "odd-one-out", *words)
