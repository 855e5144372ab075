import torch

from improved_gan.data import LabelledImages, LabelSplit, load_digits
from improved_gan.recipes.guessing import Guessing


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
