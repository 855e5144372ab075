import pytest
import torch

from improved_gan.data import Batches, DataError, Guesses, LabelledImages, LabelSplit, image_rows


def numbered(num: int = 60, classes: int = 3) -> LabelledImages:
    """Image i is filled with the value i, and its class is i mod K."""
    values = torch.arange(num)
    return LabelledImages(values.to(torch.uint8).reshape(-1, 1, 1, 1).expand(-1, 1, 2, 2).clone(), values % classes)


def rows(images: torch.Tensor) -> list[int]:
    return (images[:, 0, 0, 0] * 255).round().int().tolist()


def make(seed: int = 1, *, include_labelled: bool = True, num_labels: int = 6, batch_size: int = 10) -> Batches:
    data = numbered()
    split = LabelSplit.draw(data.labels, num_labels, seed=0, include_labelled=include_labelled)
    return Batches(data, split, batch_size=batch_size, seed=seed)


def test_an_epoch_sees_each_unlabelled_image_once_in_two_independent_orders() -> None:
    batches = list(make().epoch(0))
    unlabelled = [row for batch in batches for row in rows(batch.unlabelled_images)]
    fresh = [row for batch in batches for row in rows(batch.fresh_images)]
    assert sorted(unlabelled) == sorted(fresh) == list(range(60))
    assert unlabelled != fresh


def test_only_labels_of_the_split_are_ever_seen() -> None:
    data = numbered()
    split = LabelSplit.draw(data.labels, 6, seed=0)
    batches = make()
    for epoch in range(3):
        for batch in batches.epoch(epoch):
            assert set(rows(batch.labelled_images)) <= set(split.indices)
            assert (torch.tensor(rows(batch.labelled_images)) % 3).equal(batch.labels)


def test_labelled_images_are_gone_through_evenly() -> None:
    counts = torch.bincount(torch.tensor([row for batch in make().epoch(0) for row in rows(batch.labelled_images)]))
    assert counts[counts > 0].tolist() == [10] * 6


def test_without_the_labelled_among_the_unlabelled() -> None:
    split = LabelSplit.draw(numbered().labels, 6, seed=0)
    batches = make(include_labelled=False)
    assert batches.steps_per_epoch == 5
    seen = {row for batch in batches.epoch(0) for row in rows(batch.unlabelled_images) + rows(batch.fresh_images)}
    assert not seen & set(split.indices)


def test_an_epoch_can_be_taken_up_in_the_middle() -> None:
    whole, rest = list(make().epoch(4)), list(make().epoch(4, first_step=2))
    assert len(rest) == len(whole) - 2
    for a, b in zip(whole[2:], rest, strict=True):
        assert torch.equal(a.unlabelled_images, b.unlabelled_images)
        assert torch.equal(a.fresh_images, b.fresh_images)
        assert torch.equal(a.labelled_images, b.labelled_images)


def test_seeds_and_epochs_give_other_orders() -> None:
    first = [rows(next(make(seed).epoch(epoch)).unlabelled_images) for seed in (1, 2) for epoch in (0, 1)]
    assert len({tuple(order) for order in first}) == 4


def test_bad_use() -> None:
    with pytest.raises(DataError, match="between 1 and the 60 unlabelled images; got 61"):
        make(batch_size=61)
    split = LabelSplit.draw(numbered().labels, 6, seed=0)
    with pytest.raises(DataError, match="drawn from other data"):
        Batches(numbered(30), split, batch_size=5, seed=1)


def guessing(num_epochs: int = 2) -> Batches:
    data = numbered()
    split = LabelSplit.draw(data.labels, 6, seed=0)
    guesses = Guesses(torch.arange(20, 30), torch.arange(10) % 3, batch_size=4, num_epochs=num_epochs)
    return Batches(data, split, batch_size=10, seed=1, labelled_batch_size=3, guesses=guesses)


def test_guessed_images_come_with_their_guesses_in_the_first_epochs_only() -> None:
    batches = guessing()
    for epoch in range(2):
        for batch in batches.epoch(epoch):
            assert len(batch.labels) == 3
            assert len(batch.guessed_images) == 4
            assert [(row - 20) % 3 for row in rows(batch.guessed_images)] == batch.guesses.tolist()
    assert all(batch.guessed_images is None and batch.guesses is None for batch in batches.epoch(2))


def test_guessed_images_are_gone_through_evenly_and_can_be_taken_up() -> None:
    whole = list(guessing().epoch(1))
    counts = torch.bincount(torch.tensor([row for batch in whole for row in rows(batch.guessed_images)]))
    assert sum(counts.tolist()) == 24
    assert set(counts[20:].tolist()) <= {2, 3}
    rest = list(guessing().epoch(1, first_step=4))
    assert [rows(a.guessed_images) for a in whole[4:]] == [rows(b.guessed_images) for b in rest]


def test_the_other_streams_do_not_change_with_guesses() -> None:
    for plain, guessed in zip(make().epoch(0), guessing().epoch(0), strict=True):
        assert rows(plain.unlabelled_images) == rows(guessed.unlabelled_images)
        assert rows(plain.fresh_images) == rows(guessed.fresh_images)


def test_images_held_out_are_never_seen_and_labels_that_are_not_known_are_never_drawn() -> None:
    data = numbered()
    labels = data.labels.clone()
    labels[30:] = -1
    held_out = [0, 7, 50]
    split = LabelSplit.as_given(labels, held_out=held_out)
    batches = Batches(LabelledImages(data.images, labels), split, batch_size=19, seed=1)
    seen, labelled = set(), set()
    for batch in batches.epoch(0):
        seen |= set(rows(batch.unlabelled_images)) | set(rows(batch.fresh_images))
        labelled |= set(rows(batch.labelled_images))
        assert (torch.tensor(rows(batch.labelled_images)) % 3).equal(batch.labels)
    assert seen == set(range(60)) - set(held_out)
    assert labelled == set(range(30)) - set(held_out)


def test_without_any_label_the_labelled_part_is_empty() -> None:
    batches = Batches(numbered(), LabelSplit.none(60), batch_size=20, seed=1)
    for batch in batches.epoch(0):
        assert batch.labelled_images.shape == (0, 1, 2, 2)
        assert batch.labels.shape == (0,)
        assert len(batch.unlabelled_images) == 20


def test_a_large_set_is_read_ahead_and_gives_the_same_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    usual = list(make().epoch(3, first_step=1))
    monkeypatch.setattr(image_rows, "_LARGE", 1)
    ahead = list(make().epoch(3, first_step=1))
    assert len(ahead) == len(usual) == 5
    for a, b in zip(usual, ahead, strict=True):
        assert torch.equal(a.unlabelled_images, b.unlabelled_images)
        assert torch.equal(a.fresh_images, b.fresh_images)
        assert torch.equal(a.labelled_images, b.labelled_images)
        assert torch.equal(a.labels, b.labels)


def brighter(images: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    """Adds a number of its own to each image, so that it can be told which ones were changed, and how."""
    return images + 2 + torch.rand(len(images), 1, 1, 1, generator=generator)


def deforming(*, seed: int = 1, **arguments: object) -> Batches:
    data = numbered()
    split = LabelSplit.draw(data.labels, 6, seed=0)
    guesses = Guesses(torch.arange(10, 20), data.labels[10:20], 4, 1)
    return Batches(data, split, batch_size=10, seed=seed, guesses=guesses, deformations=brighter, **arguments)


def test_images_with_labels_come_in_new_forms_and_the_others_as_they_are() -> None:
    plain, first = (next(batches.epoch(0)) for batches in (make(), deforming()))
    assert plain.deform is None
    assert torch.equal(first.unlabelled_images, plain.unlabelled_images)
    assert torch.equal(first.fresh_images, plain.fresh_images)
    added = first.labelled_images - plain.labelled_images
    assert (added >= 2).all()
    assert len(set(added.flatten().tolist())) > 5
    assert first.guessed_images is not None
    assert (first.guessed_images >= 2).all()
    assert first.deform is not None
    assert (first.deform(first.unlabelled_images) >= 2).all()


def added(batches: Batches, epoch: int = 0, first_step: int = 0) -> list[torch.Tensor]:
    """What was added to black images in each step, after the labelled and the guessed ones."""
    black = torch.zeros(3, 1, 2, 2)
    steps = batches.epoch(epoch, first_step=first_step)
    return [batch.deform(black)[:, 0, 0, 0] for batch in steps if batch.deform is not None]


def test_forms_depend_on_seed_epoch_and_step_alone() -> None:
    torch.manual_seed(0)
    whole = added(deforming(), 3)
    torch.manual_seed(1)
    rest = added(deforming(), 3, 2)
    assert len(rest) == len(whole) - 2 > 0
    assert all(torch.equal(a, b) for a, b in zip(whole[2:], rest, strict=True))
    others = [*whole, *added(deforming(), 4), *added(deforming(seed=2), 3)]
    assert len({one[0].item() for one in others}) == len(others)


def test_each_process_draws_forms_of_its_own() -> None:
    first, second = (added(deforming(share=(number, 2)))[0] for number in (0, 1))
    assert not torch.equal(first, second)
