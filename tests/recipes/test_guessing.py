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
