import re
from dataclasses import replace

import pytest
import torch

from improved_gan.data import Guesses, LabelledImages, LabelSplit, load_digits
from improved_gan.recipes.guessing import Guessing
from improved_gan.recipes.recipe import described
from improved_gan.techniques import grid_positions


def test_guesses_are_mostly_right_and_as_many_as_asked() -> None:
    data = load_digits().train
    guesses = Guessing(batch_size=7, share=0.5, duration=0.3).guesses(
        data, LabelSplit.draw(data.labels, 50, seed=1), epochs=20
    )
    assert (guesses.classes != data.labels[guesses.indices]).float().mean() < 0.05
    assert 0.35 * len(data) < len(guesses.indices) <= 0.5 * len(data) + 10
    assert (guesses.batch_size, guesses.num_epochs) == (7, 6)


def test_labels_outside_the_split_are_never_read() -> None:
    data = load_digits().train
    split = LabelSplit.draw(data.labels, 50, seed=1)
    hidden = torch.zeros_like(data.labels)
    hidden[list(split.indices)] = torch.tensor(split.labels)
    first = Guessing().guesses(data, split, epochs=2)
    second = Guessing().guesses(LabelledImages(data.images, hidden), split, epochs=2)
    assert torch.equal(first.indices, second.indices)
    assert torch.equal(first.classes, second.classes)


def test_what_no_label_reaches_is_no_guess() -> None:
    """Two clusters far apart, labels in one of them only: the other would all be called class 0."""
    random = torch.Generator().manual_seed(0)
    points = torch.randn(40, 3, generator=random) + torch.tensor([[0.0], [1000.0]]).repeat_interleave(20, 0)
    labels = torch.full((40,), -1)
    labels[:4] = torch.tensor([0, 1, 0, 1])
    places, _ = Guessing(share=1.0, num_neighbours=5).spread(points, labels)
    assert 0 < len(places) <= 20
    assert (places < 20).all()


@pytest.mark.parametrize(
    ("epochs", "rounds", "duration"), [(24, 4, 0.5), (9, 2, 1.0), (7, 3, 0.4), (2, 4, 1.0), (1, 4, 0.1)]
)
def test_every_round_that_has_an_epoch_sees_its_guesses_first(epochs: int, rounds: int, duration: float) -> None:
    guessing = Guessing(rounds=rounds, duration=duration)
    seen = [guessing.round_at(epoch, epochs) for epoch in range(epochs)]
    told = [number for number in seen if number is not None]
    assert seen[0] == 0
    assert told == sorted(told)
    assert set(told) == set(range(min(rounds, epochs)))
    assert None not in [replace(guessing, duration=1.0).round_at(epoch, epochs) for epoch in range(epochs)]


def test_what_came_later_is_told_only_where_it_is_used() -> None:
    assert "rounds" not in described(Guessing())
    assert described(Guessing(rounds=3))["rounds"] == 3
    assert "layers" not in described(Guessing(layers=[1, 2]))  # type: ignore[arg-type]
    assert described(Guessing(layers=(0,)))["layers"] == [0]


@pytest.mark.parametrize(
    ("setting", "value"),
    [("rounds", 0), ("share", 1.5), ("duration", 0.0), ("later_share", 0.0), ("layers", ()), ("layers", (-1,))],
)
def test_numbers_out_of_range_are_refused(setting: str, value: object) -> None:
    with pytest.raises(ValueError, match=rf"{setting} must .*; got {re.escape(str(value))}"):
        Guessing(**{setting: value})  # type: ignore[arg-type]


def test_with_a_reach_the_guesses_are_better_and_no_more_depend_on_the_order_of_the_pixels() -> None:
    data = load_digits().train
    split = LabelSplit.draw(data.labels, 50, seed=1)
    plain = Guessing(share=1.0).guesses(data, split, epochs=2)
    moved = Guessing(share=1.0, reach=1).guesses(data, split, epochs=2, positions=grid_positions(8, 8))

    def wrong(guesses: Guesses) -> float:
        return (guesses.classes != data.labels[guesses.indices]).float().mean().item()

    assert wrong(moved) < 0.9 * wrong(plain)
    order = torch.randperm(64, generator=torch.Generator().manual_seed(0))
    shuffled = LabelledImages(data.images.flatten(1)[:, order].reshape(data.images.shape), data.labels)
    same = Guessing(share=1.0, reach=1).guesses(shuffled, split, epochs=2, positions=grid_positions(8, 8)[order])
    assert torch.equal(same.indices, moved.indices)
    assert torch.equal(same.classes, moved.classes)
    lost = Guessing(share=1.0, reach=1).guesses(shuffled, split, epochs=2)
    assert wrong(lost) > 1.5 * wrong(moved)


def test_a_negative_reach_is_refused() -> None:
    with pytest.raises(ValueError, match="reach"):
        Guessing(reach=-1)
