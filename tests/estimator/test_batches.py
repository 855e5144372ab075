"""Batches from arrays."""

import numpy as np
import torch

from improved_gan.data import PseudoLabels
from improved_gan.estimator import batches
from improved_gan.estimator.batches import ArrayBatches, Examples
from improved_gan.estimator.layout import find_layout
from improved_gan.estimator.scaling import RangeScale


def examples_of(parts: list[np.ndarray]) -> Examples:
    return Examples(parts, find_layout(parts[0].shape), RangeScale(0, 255), "cpu")


def test_rows_of_several_parts_and_of_a_file_are_gathered_alike(tmp_path, monkeypatch) -> None:
    first = np.random.default_rng(0).integers(0, 256, size=(10, 6, 5, 3), dtype=np.uint8)
    np.save(tmp_path / "first.npy", first)
    mapped = np.load(tmp_path / "first.npy", mmap_mode="r")
    rows = np.array([12, 0, 9, 10, 3])
    expected = torch.from_numpy(np.concatenate([first, first[:4]])[rows]).permute(0, 3, 1, 2) / 255
    torch.testing.assert_close(examples_of([mapped, first[:4]]).take(rows), expected)
    monkeypatch.setattr(batches, "_KEPT_NUMBERS", 0)  # as for arrays that are too large to keep
    lazy = examples_of([mapped, first[:4]])
    assert lazy._kept is None
    torch.testing.assert_close(lazy.take(rows), expected)


def test_an_epoch_sees_every_example_once_and_labels_belong_to_their_images() -> None:
    values = np.arange(40, dtype=np.uint8).reshape(20, 2)
    labeled = np.array([3, 7, 11])
    source = ArrayBatches(examples_of([values]), labeled, np.array([0, 1, 2]), batch_size=5, seed=1, device="cpu")
    assert source.steps_per_epoch == 4
    epoch = list(source.epoch(0))
    seen = torch.cat([batch.unlabeled_images for batch in epoch])[:, 0, 0, 0].mul(255).round().int()
    assert sorted(seen.tolist()) == list(range(0, 40, 2))
    for batch in epoch:
        row = batch.labeled_images[:, 0, 0, 0].mul(255).round().long() // 2
        torch.testing.assert_close(torch.from_numpy(labeled)[batch.labels], row)
    again = list(source.epoch(0, first_step=2))
    torch.testing.assert_close(again[0].matching_images, epoch[2].matching_images)
    assert not torch.equal(next(source.epoch(1)).unlabeled_images, epoch[0].unlabeled_images)


def test_few_examples_make_one_small_batch() -> None:
    source = ArrayBatches(
        examples_of([np.eye(4, dtype=np.uint8)]), np.array([0]), np.array([0]), batch_size=100, seed=0, device="cpu"
    )
    (batch,) = source.epoch(0)
    assert len(batch.unlabeled_images) == len(batch.labels) == 4


def test_pseudo_labels_come_in_the_first_epochs_with_their_own_images() -> None:
    values = np.arange(40, dtype=np.uint8).reshape(20, 2)
    pseudo_labels = PseudoLabels(torch.tensor([2, 9, 15]), torch.tensor([0, 1, 0]), batch_size=2, num_epochs=1)
    source = ArrayBatches(
        examples_of([values]),
        np.array([3]),
        np.array([0]),
        batch_size=5,
        seed=1,
        device="cpu",
        pseudo_labels=pseudo_labels,
    )
    plain = ArrayBatches(examples_of([values]), np.array([3]), np.array([0]), batch_size=5, seed=1, device="cpu")
    seen = []
    for batch, other in zip(source.epoch(0), plain.epoch(0), strict=True):
        torch.testing.assert_close(batch.unlabeled_images, other.unlabeled_images)
        first_pixels = batch.pseudo_labeled_images[:, 0, 0, 0].mul(255).round().long()
        seen += zip(first_pixels.tolist(), batch.pseudo_labels.tolist(), strict=True)
    assert set(seen) == {(4, 0), (18, 1), (30, 0)}
    assert len(seen) == 8
    assert all(batch.pseudo_labeled_images is None for batch in source.epoch(1))
