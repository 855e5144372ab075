import dataclasses
import hashlib
import json

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from improved_gan.data import DataError, LabelSplit, label_split
from improved_gan.data.label_split import duplicate_ids, split_validation

LABELS = torch.arange(10).repeat_interleave(30)[torch.randperm(300, generator=torch.Generator().manual_seed(0))]


@given(each=st.integers(1, 30), seed=st.integers(0, 2**31))
def test_balanced_without_repetition_and_the_same_for_a_seed(each: int, seed: int) -> None:
    split = LabelSplit.draw(LABELS, 10 * each, seed=seed)
    assert len(set(split.indices)) == 10 * each
    assert torch.bincount(torch.tensor(split.labels)).tolist() == [each] * 10
    assert LABELS[list(split.indices)].tolist() == list(split.labels)
    assert LabelSplit.draw(LABELS, 10 * each, seed=seed) == split


def test_a_larger_budget_of_the_same_seed_contains_the_smaller() -> None:
    small, large = (set(LabelSplit.draw(LABELS, n, seed=3).indices) for n in (20, 100))
    assert small < large


def test_labeled_images_among_the_unlabeled_or_not() -> None:
    with_them = LabelSplit.draw(LABELS, 20, seed=1)
    without = LabelSplit.draw(LABELS, 20, seed=1, include_labeled=False)
    assert len(with_them.unlabeled_indices()) == 300
    assert set(without.unlabeled_indices().tolist()) == set(range(300)) - set(without.indices)
    assert with_them.digest != without.digest


def test_what_is_stored_survives_json_and_any_change_is_noticed() -> None:
    split = LabelSplit.draw(LABELS, 20, seed=1)
    stored = json.loads(json.dumps(split.as_dict()))
    assert stored == LabelSplit.draw(LABELS, 20, seed=1).as_dict()
    for other in (
        LabelSplit.draw(LABELS, 20, seed=2),
        LabelSplit.draw(LABELS, 30, seed=1),
        dataclasses.replace(split, include_labeled=False),
        dataclasses.replace(split, labels=split.labels[::-1]),
    ):
        assert other.digest != stored["sha256"]


@pytest.mark.parametrize(
    ("num_labels", "message"),
    [
        (25, "25 labels cannot be divided evenly among 10 classes: take a multiple of 10, such as 20"),
        (0, "take a multiple of 10, such as 10"),
        (-10, "take a multiple"),
        (310, "310 labels are 31 a class, but class 0 has only 30 images: take at most 300"),
    ],
)
def test_impossible_budgets(num_labels: int, message: str) -> None:
    with pytest.raises(DataError, match=message):
        LabelSplit.draw(LABELS, num_labels, seed=1)


PARTLY = torch.where(torch.arange(300) % 3 == 0, LABELS, torch.full_like(LABELS, -1))


def test_only_known_labels_that_are_not_held_out_are_drawn() -> None:
    held_out = (PARTLY >= 0).nonzero().flatten()[:20].tolist()
    split = LabelSplit.draw(PARTLY, 20, seed=1, held_out=held_out)
    assert torch.bincount(torch.tensor(split.labels)).tolist() == [2] * 10
    assert not set(split.indices) & set(held_out)
    assert PARTLY[list(split.indices)].tolist() == list(split.labels)
    assert sorted({*split.training_indices().tolist(), *held_out}) == list(range(300))
    assert torch.equal(split.unlabeled_indices(), split.training_indices())
    without = dataclasses.replace(split, include_labeled=False)
    assert set(without.unlabeled_indices().tolist()) == set(range(300)) - {*held_out, *split.indices}


def test_labels_as_given_are_all_that_are_known_ordered_by_class() -> None:
    split = LabelSplit.as_given(PARTLY, held_out=[0, 3])
    assert set(split.indices) == {row for row in range(300) if PARTLY[row] >= 0} - {0, 3}
    assert list(split.labels) == sorted(split.labels) == PARTLY[list(split.indices)].tolist()


def test_what_is_held_out_is_part_of_the_hash_and_changes_nothing_where_nothing_is() -> None:
    plain, held = LabelSplit.draw(LABELS, 20, seed=1), LabelSplit.draw(LABELS, 20, seed=1, held_out=[5])
    assert "held_out" not in plain.as_dict()
    assert held.as_dict()["held_out"] == [5]
    assert dataclasses.replace(plain, held_out=(5,)).digest != plain.digest
    # The hash that version 0.1 wrote for this split: run folders of that time stay valid.
    text = f"{plain.num_images}|{plain.include_labeled}|{plain.indices}|{plain.labels}"
    assert plain.digest == hashlib.sha256(text.encode()).hexdigest()


def test_no_labels() -> None:
    split = LabelSplit.none(5, held_out=[1])
    assert (split.indices, split.unlabeled_indices().tolist()) == ((), [0, 2, 3, 4])
    with pytest.raises(DataError, match="no image has one"):
        LabelSplit.draw(torch.full((5,), -1), 10, seed=1)


def test_a_class_that_is_too_small_among_partly_known_labels() -> None:
    labels = torch.tensor([0, 0, 0, 1, -1, -1])
    with pytest.raises(DataError, match="class 1 has only 1 images: take at most 2 labels"):
        LabelSplit.draw(labels, 4, seed=1)


def hashes(contents: list[object]) -> np.ndarray:
    return np.stack([np.frombuffer(hashlib.sha256(str(one).encode()).digest(), np.uint8) for one in contents])


KNOWN_LABELS = np.array([0] * 40 + [1] * 9 + [2] * 4 + [-1] * 47)
TRAIN = np.array(["train"] * 100)


def test_a_share_of_each_class_by_content_alone() -> None:
    content = hashes(list(range(100)))
    rows, kind, notices = split_validation(KNOWN_LABELS, TRAIN, content, fraction=0.2)
    assert np.bincount(KNOWN_LABELS[rows]).tolist() == [8, 1]  # rounded down
    assert (kind, notices) == ("validation", [])
    order = np.random.default_rng(0).permutation(100)
    again, _, _ = split_validation(KNOWN_LABELS[order], TRAIN, content[order], fraction=0.2)
    assert sorted(order[again]) == rows.tolist()
    lowest = sorted(range(40), key=lambda row: content[row].tobytes())[:8]
    assert sorted(lowest) == rows[:8].tolist()


def test_copies_of_training_images_are_never_held_out() -> None:
    # Image 99, without a label, has the content of one that would be chosen.
    content = list(range(100))
    first = int(split_validation(KNOWN_LABELS, TRAIN, hashes(content), fraction=0.2)[0][0])
    content[99] = first
    rows, _, _ = split_validation(KNOWN_LABELS, TRAIN, hashes(content), fraction=0.2)
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


def test_a_fraction_is_not_rounded_down_twice() -> None:
    rows, _, _ = split_validation(np.zeros(100, dtype=np.int64), TRAIN, hashes(list(range(100))), fraction=0.29)
    assert len(rows) == 29  # in floating point 0.29 * 100 is below 29


def test_too_few_labels_and_very_many(monkeypatch) -> None:
    rows, _, notices = split_validation(np.array([0, 0, 1, 1]), TRAIN[:4], hashes([1, 2, 3, 4]), fraction=0.2)
    assert (len(rows), notices) == (
        0,
        ["no image is held out for validation: 20% of each class are less than one image"],
    )
    monkeypatch.setattr(label_split, "MOST_VALIDATION", 10)
    rows, _, _ = split_validation(np.arange(100) % 2, TRAIN, hashes(list(range(100))), fraction=0.5)
    assert len(rows) == 10
    # A part that was given has as many at most, of all classes, whatever its order.
    parts = np.array(["train"] * 50 + ["validation"] * 50)
    content = hashes(list(range(100)))
    rows, _, notices = split_validation(np.arange(100) // 25, parts, content, fraction=0.5)
    assert rows.tolist() == sorted(sorted(range(50, 100), key=lambda row: content[row].tobytes())[:10])
    assert notices == ["of 50 validation images the 10 with the lowest hash of their content are used"]
