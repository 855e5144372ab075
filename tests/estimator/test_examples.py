"""Batches from arrays."""

import numpy as np
import torch

from improved_gan.data import Batches, LabelSplit, PseudoLabels
from improved_gan.estimator import inputs
from improved_gan.estimator.inputs import Examples, InputSpec
from improved_gan.estimator.layout import find_layout
from improved_gan.estimator.scaling import RangeScale


def examples_of(parts: list[np.ndarray]) -> Examples:
    spec = InputSpec(find_layout(parts[0].shape), RangeScale(0, 255), parts[0].dtype, np.array([], dtype=int))
    return Examples(parts, spec, "cpu")


def test_rows_of_several_parts_and_of_a_file_are_gathered_alike(tmp_path, monkeypatch) -> None:
    first = np.random.default_rng(0).integers(0, 256, size=(10, 6, 5, 3), dtype=np.uint8)
    np.save(tmp_path / "first.npy", first)
    mapped = np.load(tmp_path / "first.npy", mmap_mode="r")
    rows = np.array([12, 0, 9, 10, 3])
    expected = torch.from_numpy(np.concatenate([first, first[:4]])[rows]).permute(0, 3, 1, 2) / 255
    torch.testing.assert_close(examples_of([mapped, first[:4]]).take(rows), expected)
    monkeypatch.setattr(inputs, "_KEPT_NUMBERS", 0)  # as for arrays that are too large to keep
    lazy = examples_of([mapped, first[:4]])
    assert lazy._kept is None
    torch.testing.assert_close(lazy.take(rows), expected)


def test_an_epoch_sees_every_example_once_and_labels_belong_to_their_images() -> None:
    values = np.arange(40, dtype=np.uint8).reshape(20, 2)
    labeled = np.array([3, 7, 11])
    source = Batches(examples_of([values]), LabelSplit(1, tuple(labeled.tolist()), (0, 1, 2), 20), batch_size=5, seed=1)
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


def test_labels_come_with_their_weights_and_large_arrays_are_read_ahead(monkeypatch) -> None:
    monkeypatch.setattr(inputs, "_KEPT_NUMBERS", 0)
    examples = examples_of([np.arange(16, dtype=np.uint8).reshape(8, 2)])
    assert examples.large
    split = LabelSplit(0, (1, 6), (0, 1), 8)
    weights = torch.tensor([0.5, 1.5])
    (batch,) = Batches(examples, split, batch_size=8, seed=0, label_weights=weights).epoch(0)
    torch.testing.assert_close(batch.label_weights, weights[batch.labels])
    torch.testing.assert_close(batch.labeled_images[:, 0, 0, 0] * 255, 2.0 * torch.tensor([1, 6])[batch.labels])


def test_pseudo_labels_come_in_the_first_epochs_with_their_own_images() -> None:
    values = np.arange(40, dtype=np.uint8).reshape(20, 2)
    pseudo_labels = PseudoLabels(torch.tensor([2, 9, 15]), torch.tensor([0, 1, 0]), batch_size=2, num_epochs=1)
    source = Batches(
        examples_of([values]), LabelSplit(1, (3,), (0,), 20), batch_size=5, seed=1, pseudo_labels=pseudo_labels
    )
    plain = Batches(examples_of([values]), LabelSplit(1, (3,), (0,), 20), batch_size=5, seed=1)
    seen = []
    for batch, other in zip(source.epoch(0), plain.epoch(0), strict=True):
        torch.testing.assert_close(batch.unlabeled_images, other.unlabeled_images)
        first_pixels = batch.pseudo_labeled_images[:, 0, 0, 0].mul(255).round().long()
        seen += zip(first_pixels.tolist(), batch.pseudo_labels.tolist(), strict=True)
    assert set(seen) == {(4, 0), (18, 1), (30, 0)}
    assert len(seen) == 8
    assert all(batch.pseudo_labeled_images is None for batch in source.epoch(1))
