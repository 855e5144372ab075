import hashlib

import numpy as np

from improved_gan.data import validation
from improved_gan.data.validation import duplicate_ids, split_validation


def hashes(contents: list[object]) -> np.ndarray:
    return np.stack([np.frombuffer(hashlib.sha256(str(one).encode()).digest(), np.uint8) for one in contents])


LABELS = np.array([0] * 40 + [1] * 9 + [2] * 4 + [-1] * 47)
TRAIN = np.array(["train"] * 100)


def test_a_share_of_each_class_by_content_alone() -> None:
    content = hashes(list(range(100)))
    rows, kind, notices = split_validation(LABELS, TRAIN, content, fraction=0.2)
    assert np.bincount(LABELS[rows]).tolist() == [8, 1]  # rounded down
    assert (kind, notices) == ("validation", [])
    order = np.random.default_rng(0).permutation(100)
    again, _, _ = split_validation(LABELS[order], TRAIN, content[order], fraction=0.2)
    assert sorted(order[again]) == rows.tolist()
    lowest = sorted(range(40), key=lambda row: content[row].tobytes())[:8]
    assert sorted(lowest) == rows[:8].tolist()


def test_copies_of_training_images_are_never_held_out() -> None:
    # Image 99, without a label, has the content of one that would be chosen.
    content = list(range(100))
    first = int(split_validation(LABELS, TRAIN, hashes(content), fraction=0.2)[0][0])
    content[99] = first
    rows, _, _ = split_validation(LABELS, TRAIN, hashes(content), fraction=0.2)
    assert first not in rows
    assert len(rows) == 9
    assert duplicate_ids(hashes(content)) == 1


def test_a_validation_folder_counts_without_the_copies_in_it() -> None:
    parts = np.array(["train"] * 60 + ["validation"] * 20 + ["test"] * 20)
    labels = np.arange(100) % 2
    content = list(range(100))
    content[61] = 3
    rows, kind, notices = split_validation(labels, parts, hashes(content), fraction=0.2)
    assert rows.tolist() == [60, *range(62, 80)]
    assert kind == "validation"
    assert notices == [
        "1 validation images have the same content as training images and are left out of the validation"
    ]
    rows, kind, _ = split_validation(
        labels, np.where(parts == "validation", "train", parts), hashes(content), fraction=0.2
    )
    assert (rows.tolist(), kind) == (list(range(80, 100)), "test")


def test_too_few_labels_and_very_many(monkeypatch) -> None:
    rows, _, notices = split_validation(np.array([0, 0, 1, 1]), TRAIN[:4], hashes([1, 2, 3, 4]), fraction=0.2)
    assert (len(rows), notices) == (
        0,
        ["no image is held out for validation: 20% of each class are less than one image"],
    )
    monkeypatch.setattr(validation, "MOST", 10)
    rows, _, _ = split_validation(np.arange(100) % 2, TRAIN, hashes(list(range(100))), fraction=0.5)
    assert len(rows) == 10
    # A part that was given has as many at most, of all classes, whatever its order.
    parts = np.array(["train"] * 50 + ["validation"] * 50)
    content = hashes(list(range(100)))
    rows, _, notices = split_validation(np.arange(100) // 25, parts, content, fraction=0.5)
    assert rows.tolist() == sorted(sorted(range(50, 100), key=lambda row: content[row].tobytes())[:10])
    assert notices == ["of 50 validation images the 10 with the lowest hash of their content are used"]
