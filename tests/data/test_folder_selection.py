from pathlib import Path

import numpy as np

from improved_gan.data.folder_labels import read_labeling
from improved_gan.data.folder_selection import Selection
from improved_gan.data.image_index import index_images
from improved_gan.data.image_sources import open_images
from tests.data.test_folder import make


def test_every_image_that_can_be_used_is_trained_on_or_held_out(tmp_path: Path) -> None:
    folder = make(tmp_path / "images", cat=10, dog=10)
    scan = index_images(open_images(folder), workers=1)
    labeling = read_labeling(folder, scan.names, scan.names, labels=None, use_labels=True)
    good = np.setdiff1d(np.arange(20), [3])
    chosen = Selection.of(scan, labeling, good, 0.2)
    assert len(chosen.names) == 19
    assert sorted([*chosen.train_rows, *chosen.evaluated]) == list(range(19))
    assert chosen.kind == "validation"
    assert np.bincount(chosen.labels[chosen.evaluated]).tolist() == [1, 2]  # a fifth of 9 and of 10, rounded down
