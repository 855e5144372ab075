from pathlib import Path

import numpy as np

from improved_gan.active_learning.predictions import csv_row
from improved_gan.active_learning.query import least_certain


def write(path: Path, entropies: list[float], digests: list[int]) -> None:
    rows = [csv_row(["file", "label", "p(a)", "p(b)", "real_score", "entropy", "sha256"])]
    for number, (entropy, digest) in enumerate(zip(entropies, digests, strict=True)):
        rows.append(csv_row([f"{number}.png", "a", "0.75", "0.25", "0.5", f"{entropy:.6f}", f"{digest:064x}"]))
    path.write_bytes(b"".join(rows))


def test_the_highest_entropies_highest_first_without_copies_and_labeled(tmp_path: Path) -> None:
    entropies = np.random.default_rng(0).permutation(500) / 500
    write(tmp_path / "p.csv", entropies.tolist(), list(range(500)))
    order = np.argsort(-entropies)
    chosen = least_certain(tmp_path / "p.csv", 20)
    assert [one.file for one in chosen] == [f"{k}.png" for k in order[:20]]
    labeled = {f"{k}.png" for k in order[:3]}
    assert [one.file for one in least_certain(tmp_path / "p.csv", 5, labeled=labeled)] == [
        f"{k}.png" for k in order[3:8]
    ]
    assert chosen[0].probabilities == (0.75, 0.25)
    write(tmp_path / "q.csv", [0.5, 0.6, 0.5, 0.4], [1, 2, 1, 1])
    assert [one.file for one in least_certain(tmp_path / "q.csv", 9)] == ["1.png", "0.png"]


def test_a_copy_of_a_labeled_image_is_not_shown_and_unusable_files_make_room_for_others(tmp_path: Path) -> None:
    write(tmp_path / "p.csv", [0.9, 0.5, 0.4, 0.3], [1, 2, 1, 3])
    assert [one.file for one in least_certain(tmp_path / "p.csv", 2, labeled={"2.png"})] == ["1.png", "3.png"]
    chosen = least_certain(tmp_path / "p.csv", 2, usable=lambda file: file != "0.png")
    assert [one.file for one in chosen] == ["1.png", "2.png"]
