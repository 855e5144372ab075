import warnings
from pathlib import Path

import numpy as np
import pytest
import torch

from improved_gan.data import Batches, DataError, LabeledImages, LabelSplit, PseudoLabels, batches
from improved_gan.data.batches import ImageTable

IMAGES = torch.arange(5 * 3 * 4 * 4).remainder(256).to(torch.uint8).reshape(5, 3, 4, 4)
ROWS = torch.tensor([4, 0, 4, 2])


def test_rows_come_in_the_order_asked_for_with_repetitions() -> None:
    expected = IMAGES.numpy()[[4, 0, 4, 2]].astype(np.float64) / 255
    np.testing.assert_allclose(ImageTable(IMAGES, "cpu")(ROWS).numpy(), expected, atol=1e-7)


def test_a_large_set_gives_the_same_rows_and_is_not_copied(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    IMAGES.numpy().tofile(tmp_path / "images")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it cannot be written to, as it should be
        mapped = torch.from_numpy(np.memmap(tmp_path / "images", np.uint8, mode="r").reshape(IMAGES.shape))
    small = ImageTable(mapped, "cpu")
    monkeypatch.setattr(batches, "_LARGE", 100)
    large = ImageTable(mapped, "cpu")
    assert (small.large, large.large) == (False, True)
    assert torch.equal(large(ROWS), small(ROWS))
    assert torch.equal(large(ROWS), ImageTable(IMAGES, "cpu")(ROWS))
    assert large._images.data_ptr() == mapped.data_ptr()


def test_no_rows() -> None:
    assert ImageTable(IMAGES, "cpu")(ROWS[:0]).shape == (0, 3, 4, 4)


def numbered(num: int = 60, classes: int = 3) -> LabeledImages:
    """Image i is filled with the value i, and its class is i mod K."""
    values = torch.arange(num)
    return LabeledImages(values.to(torch.uint8).reshape(-1, 1, 1, 1).expand(-1, 1, 2, 2).clone(), values % classes)


def rows(images: torch.Tensor) -> list[int]:
    return (images[:, 0, 0, 0] * 255).round().int().tolist()


def make(seed: int = 1, *, include_labeled: bool = True, num_labels: int = 6, batch_size: int = 10) -> Batches:
    data = numbered()
    split = LabelSplit.draw(data.labels, num_labels, seed=0, include_labeled=include_labeled)
    return Batches(data, split, batch_size=batch_size, seed=seed)


def test_an_epoch_sees_each_unlabeled_image_once_in_two_independent_orders() -> None:
    batches = list(make().epoch(0))
    unlabeled = [row for batch in batches for row in rows(batch.unlabeled_images)]
    fresh = [row for batch in batches for row in rows(batch.matching_images)]
    assert sorted(unlabeled) == sorted(fresh) == list(range(60))
    assert unlabeled != fresh


def test_only_labels_of_the_split_are_ever_seen() -> None:
    data = numbered()
    split = LabelSplit.draw(data.labels, 6, seed=0)
    batches = make()
    for epoch in range(3):
        for batch in batches.epoch(epoch):
            assert set(rows(batch.labeled_images)) <= set(split.indices)
            assert (torch.tensor(rows(batch.labeled_images)) % 3).equal(batch.labels)


def test_labeled_images_are_gone_through_evenly() -> None:
    counts = torch.bincount(torch.tensor([row for batch in make().epoch(0) for row in rows(batch.labeled_images)]))
    assert counts[counts > 0].tolist() == [10] * 6


def test_without_the_labeled_among_the_unlabeled() -> None:
    split = LabelSplit.draw(numbered().labels, 6, seed=0)
    batches = make(include_labeled=False)
    assert batches.steps_per_epoch == 5
    seen = {row for batch in batches.epoch(0) for row in rows(batch.unlabeled_images) + rows(batch.matching_images)}
    assert not seen & set(split.indices)


def test_an_epoch_can_be_taken_up_in_the_middle() -> None:
    whole, rest = list(make().epoch(4)), list(make().epoch(4, first_step=2))
    assert len(rest) == len(whole) - 2
    for a, b in zip(whole[2:], rest, strict=True):
        assert torch.equal(a.unlabeled_images, b.unlabeled_images)
        assert torch.equal(a.matching_images, b.matching_images)
        assert torch.equal(a.labeled_images, b.labeled_images)


def test_seeds_and_epochs_give_other_orders() -> None:
    first = [rows(next(make(seed).epoch(epoch)).unlabeled_images) for seed in (1, 2) for epoch in (0, 1)]
    assert len({tuple(order) for order in first}) == 4


def test_bad_use() -> None:
    with pytest.raises(DataError, match="between 1 and the 60 unlabeled images; got 61"):
        make(batch_size=61)
    split = LabelSplit.draw(numbered().labels, 6, seed=0)
    with pytest.raises(DataError, match="drawn from other data"):
        Batches(numbered(30), split, batch_size=5, seed=1)


def pseudo_labeling(num_epochs: int = 2) -> Batches:
    data = numbered()
    split = LabelSplit.draw(data.labels, 6, seed=0)
    pseudo_labels = PseudoLabels(torch.arange(20, 30), torch.arange(10) % 3, batch_size=4, num_epochs=num_epochs)
    return Batches(data, split, batch_size=10, seed=1, labeled_batch_size=3, pseudo_labels=pseudo_labels)


def test_pseudo_labeled_images_come_with_their_labels_in_the_first_epochs_only() -> None:
    batches = pseudo_labeling()
    for epoch in range(2):
        for batch in batches.epoch(epoch):
            assert len(batch.labels) == 3
            assert len(batch.pseudo_labeled_images) == 4
            assert [(row - 20) % 3 for row in rows(batch.pseudo_labeled_images)] == batch.pseudo_labels.tolist()
    assert all(batch.pseudo_labeled_images is None and batch.pseudo_labels is None for batch in batches.epoch(2))


def test_pseudo_labeled_images_are_gone_through_evenly_and_can_be_taken_up() -> None:
    whole = list(pseudo_labeling().epoch(1))
    counts = torch.bincount(torch.tensor([row for batch in whole for row in rows(batch.pseudo_labeled_images)]))
    assert sum(counts.tolist()) == 24
    assert set(counts[20:].tolist()) <= {2, 3}
    rest = list(pseudo_labeling().epoch(1, first_step=4))
    assert [rows(a.pseudo_labeled_images) for a in whole[4:]] == [rows(b.pseudo_labeled_images) for b in rest]


def test_the_other_streams_do_not_change_with_pseudo_labels() -> None:
    for plain, guessed in zip(make().epoch(0), pseudo_labeling().epoch(0), strict=True):
        assert rows(plain.unlabeled_images) == rows(guessed.unlabeled_images)
        assert rows(plain.matching_images) == rows(guessed.matching_images)


def test_images_held_out_are_never_seen_and_labels_that_are_not_known_are_never_drawn() -> None:
    data = numbered()
    labels = data.labels.clone()
    labels[30:] = -1
    held_out = [0, 7, 50]
    split = LabelSplit.as_given(labels, held_out=held_out)
    batches = Batches(LabeledImages(data.images, labels), split, batch_size=19, seed=1)
    seen, labeled = set(), set()
    for batch in batches.epoch(0):
        seen |= set(rows(batch.unlabeled_images)) | set(rows(batch.matching_images))
        labeled |= set(rows(batch.labeled_images))
        assert (torch.tensor(rows(batch.labeled_images)) % 3).equal(batch.labels)
    assert seen == set(range(60)) - set(held_out)
    assert labeled == set(range(30)) - set(held_out)


def test_without_any_label_the_labeled_part_is_empty() -> None:
    batches = Batches(numbered(), LabelSplit.none(60), batch_size=20, seed=1)
    for batch in batches.epoch(0):
        assert batch.labeled_images.shape == (0, 1, 2, 2)
        assert batch.labels.shape == (0,)
        assert len(batch.unlabeled_images) == 20


def test_a_large_set_is_read_ahead_and_gives_the_same_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    usual = list(make().epoch(3, first_step=1))
    monkeypatch.setattr(batches, "_LARGE", 1)
    ahead = list(make().epoch(3, first_step=1))
    assert len(ahead) == len(usual) == 5
    for a, b in zip(usual, ahead, strict=True):
        assert torch.equal(a.unlabeled_images, b.unlabeled_images)
        assert torch.equal(a.matching_images, b.matching_images)
        assert torch.equal(a.labeled_images, b.labeled_images)
        assert torch.equal(a.labels, b.labels)


def brighter(images: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    """Adds a number of its own to each image, so that it can be told which ones were changed, and how."""
    return images + 2 + torch.rand(len(images), 1, 1, 1, generator=generator)


def augmentation(*, seed: int = 1, **arguments: object) -> Batches:
    data = numbered()
    split = LabelSplit.draw(data.labels, 6, seed=0)
    pseudo_labels = PseudoLabels(torch.arange(10, 20), data.labels[10:20], 4, 1)
    return Batches(data, split, batch_size=10, seed=seed, pseudo_labels=pseudo_labels, augmenter=brighter, **arguments)


def test_images_with_labels_come_in_new_forms_and_the_others_as_they_are() -> None:
    plain, first = (next(batches.epoch(0)) for batches in (make(), augmentation()))
    assert plain.augment is None
    assert torch.equal(first.unlabeled_images, plain.unlabeled_images)
    assert torch.equal(first.matching_images, plain.matching_images)
    added = first.labeled_images - plain.labeled_images
    assert (added >= 2).all()
    assert len(set(added.flatten().tolist())) > 5
    assert first.pseudo_labeled_images is not None
    assert (first.pseudo_labeled_images >= 2).all()
    assert first.augment is not None
    assert (first.augment(first.unlabeled_images) >= 2).all()


def added(batches: Batches, epoch: int = 0, first_step: int = 0) -> list[torch.Tensor]:
    """What was added to black images in each step, after the labeled and the guessed ones."""
    black = torch.zeros(3, 1, 2, 2)
    steps = batches.epoch(epoch, first_step=first_step)
    return [batch.augment(black)[:, 0, 0, 0] for batch in steps if batch.augment is not None]


def test_forms_depend_on_seed_epoch_and_step_alone() -> None:
    torch.manual_seed(0)
    whole = added(augmentation(), 3)
    torch.manual_seed(1)
    rest = added(augmentation(), 3, 2)
    assert len(rest) == len(whole) - 2 > 0
    assert all(torch.equal(a, b) for a, b in zip(whole[2:], rest, strict=True))
    others = [*whole, *added(augmentation(), 4), *added(augmentation(seed=2), 3)]
    assert len({one[0].item() for one in others}) == len(others)


def test_each_process_draws_forms_of_its_own() -> None:
    first, second = (added(augmentation(share=(number, 2)))[0] for number in (0, 1))
    assert not torch.equal(first, second)
