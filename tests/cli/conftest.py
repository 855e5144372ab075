"""Fixtures of the commands' tests."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image


@pytest.fixture
def real_and_gan(tmp_path: Path) -> Path:
    """A folder with the folders `real` and `gan`, of 25 pictures each."""
    for name in ("real", "gan"):
        (tmp_path / name).mkdir()
        for k in range(25):
            pixels = np.random.default_rng((k, len(name))).integers(0, 256, (8, 8, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(tmp_path / name / f"{k}.png")
    return tmp_path
