import json
from pathlib import Path

import numpy as np
import torch

from improved_gan.data.decoded_cache import Decoded
from improved_gan.data.folder_report import FolderReport, Part


def report(num_classes: int, bad: int = 0) -> FolderReport:
    names = tuple(f"c{number}" for number in range(num_classes))
    train, other = Part("train", (3,) * num_classes, 4), Part("validation", (1,) * num_classes, 0)
    decoded = Decoded(torch.zeros(1, 3, 32, 32, dtype=torch.uint8), made=50, seconds=2.0, file=Path("/cache/x.u8"))
    return FolderReport(
        Path("photos"), "class folders", names, (train, other), 0, np.array([[40, 30], [90, 80]]), 1, 32,
        {f"{number}.png": "is bad" for number in range(bad)}, 2, ("odd",), decoded, 2,
    )  # fmt: skip


def test_what_people_read() -> None:
    text = "\n".join(report(2).lines())
    assert "shorter side 30 to 80, 1 of them grayscale" in text
    assert "50 decoded at 25 images/s with 2 workers, in /cache/x.u8" in text
    assert "c0 3, c1 3" in text
    assert "6 labeled and 4 unlabeled training images, 2 validation images" in text
    many = "\n".join(report(500).lines())
    assert "(3 to 3 labeled images a class)" in many
    assert "c20 3" not in many
    assert list(report(0).lines())[2] == "class folders: 4 training images without classes"


def test_bad_files_are_counted_and_some_named() -> None:
    *_, last = report(2, bad=12).warnings()
    assert last.startswith("12 files cannot be used and are left out: 0.png is bad; ")
    assert last.endswith("; and 2 more")


def test_what_machines_read() -> None:
    found = json.loads(json.dumps(report(2, bad=1).as_dict()))
    assert found["parts"]["train"] == {"counts": [3, 3], "unlabeled": 4}
    assert (found["smallest"], found["largest"]) == ([40, 30], [90, 80])
    assert found["bad"] == {"0.png": "is bad"}
