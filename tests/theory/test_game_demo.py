import csv

import numpy as np
import pytest

from improved_gan.theory import game_demo
from improved_gan.theory.games import trajectory


@pytest.mark.slow
def test_files_and_text(tmp_path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(game_demo, "_NUM_STARTS", 10)
    monkeypatch.setattr(game_demo, "_MAP_SIZE", 4)
    files, words = game_demo.game_demo(tmp_path, 0)
    assert [file.name for file in files] == [
        "game.png", "game_map.png", "game.csv", "game_map.csv", "game_shares.csv",
    ]  # fmt: skip
    assert all(file.stat().st_size < 200_000 for file in files)
    assert "simultaneous, averaging 0.1      ends at distance 0.0018" in words
    rows = list(csv.DictReader((tmp_path / "game.csv").read_text().splitlines()))
    last = [float(rows[-1][column]) for column in ("x", "y")]
    np.testing.assert_allclose(last, trajectory(weight=0.1, alternating=True)[-1], rtol=1e-9)
    assert len(list(csv.DictReader((tmp_path / "game_map.csv").read_text().splitlines()))) == 6 * 4 * 4
    shares = list(csv.DictReader((tmp_path / "game_shares.csv").read_text().splitlines()))
    assert float(shares[0]["simultaneous"]) == 0
    assert max(float(row["simultaneous"]) for row in shares) == 1
