import re
from dataclasses import replace

import pytest
import torch

from improved_gan.data import LabeledImages, LabelSplit, PseudoLabels, load_digits
from improved_gan.label_spreading import grid_positions
from improved_gan.label_spreading.pseudo_labeling import PseudoLabeling


def test_pseudo_labels_are_mostly_right_and_as_many_as_set() -> None:
    data = load_digits().train
    pseudo_labels = PseudoLabeling(batch_size=7, confident_fraction=0.5, active_fraction=0.3).pseudo_labels(
        data, LabelSplit.draw(data.labels, 50, seed=1), epochs=20
    )
    assert (pseudo_labels.classes != data.labels[pseudo_labels.indices]).float().mean() < 0.05
    assert 0.35 * len(data) < len(pseudo_labels.indices) <= 0.5 * len(data) + 10
    assert (pseudo_labels.batch_size, pseudo_labels.num_epochs) == (7, 6)


def test_labels_outside_the_split_are_never_read() -> None:
    data = load_digits().train
    split = LabelSplit.draw(data.labels, 50, seed=1)
    hidden = torch.zeros_like(data.labels)
    hidden[list(split.indices)] = torch.tensor(split.labels)
    first = PseudoLabeling().pseudo_labels(data, split, epochs=2)
    second = PseudoLabeling().pseudo_labels(LabeledImages(data.images, hidden), split, epochs=2)
    assert torch.equal(first.indices, second.indices)
    assert torch.equal(first.classes, second.classes)


def test_examples_connected_to_no_label_get_no_pseudo_label() -> None:
    """Two clusters far apart, labels in one of them only: by argmax all of the other would be class 0."""
    random = torch.Generator().manual_seed(0)
    points = torch.randn(40, 3, generator=random) + torch.tensor([[0.0], [1000.0]]).repeat_interleave(20, 0)
    labels = torch.full((40,), -1)
    labels[:4] = torch.tensor([0, 1, 0, 1])
    indices, _ = PseudoLabeling(confident_fraction=1.0, num_neighbors=5).spread(points, labels)
    assert 0 < len(indices) <= 20
    assert (indices < 20).all()


@pytest.mark.parametrize(
    ("epochs", "num_rounds", "active_fraction"), [(24, 4, 0.5), (9, 2, 1.0), (7, 3, 0.4), (2, 4, 1.0), (1, 4, 0.1)]
)
def test_every_round_starts_with_its_pseudo_labels(epochs: int, num_rounds: int, active_fraction: float) -> None:
    pseudo_labeling = PseudoLabeling(num_rounds=num_rounds, active_fraction=active_fraction)
    rounds = [pseudo_labeling.round_at(epoch, epochs) for epoch in range(epochs)]
    active = [number for number in rounds if number is not None]
    assert rounds[0] == 0
    assert active == sorted(active)
    assert set(active) == set(range(min(num_rounds, epochs)))
    assert None not in [
        replace(pseudo_labeling, active_fraction=1.0).round_at(epoch, epochs) for epoch in range(epochs)
    ]


@pytest.mark.parametrize(
    ("setting", "value"),
    [
        ("num_rounds", 0),
        ("confident_fraction", 1.5),
        ("active_fraction", 0.0),
        ("later_fraction", 0.0),
        ("graph_layers", ()),
        ("graph_layers", (-1,)),
    ],
)
def test_numbers_out_of_range_are_refused(setting: str, value: object) -> None:
    with pytest.raises(ValueError, match=rf"{setting} must .*; got {re.escape(str(value))}"):
        PseudoLabeling(**{setting: value})  # type: ignore[arg-type]


def test_with_a_displacement_pseudo_labels_are_better_and_need_the_pixel_layout() -> None:
    data = load_digits().train
    split = LabelSplit.draw(data.labels, 50, seed=1)
    plain = PseudoLabeling(confident_fraction=1.0).pseudo_labels(data, split, epochs=2)
    moved = PseudoLabeling(confident_fraction=1.0, max_displacement=1).pseudo_labels(
        data, split, epochs=2, positions=grid_positions(8, 8)
    )

    def wrong(pseudo_labels: PseudoLabels) -> float:
        return (pseudo_labels.classes != data.labels[pseudo_labels.indices]).float().mean().item()

    assert wrong(moved) < 0.9 * wrong(plain)
    order = torch.randperm(64, generator=torch.Generator().manual_seed(0))
    shuffled = LabeledImages(data.images.flatten(1)[:, order].reshape(data.images.shape), data.labels)
    same = PseudoLabeling(confident_fraction=1.0, max_displacement=1).pseudo_labels(
        shuffled, split, epochs=2, positions=grid_positions(8, 8)[order]
    )
    assert torch.equal(same.indices, moved.indices)
    assert torch.equal(same.classes, moved.classes)
    unordered = PseudoLabeling(confident_fraction=1.0, max_displacement=1).pseudo_labels(shuffled, split, epochs=2)
    assert wrong(unordered) > 1.5 * wrong(moved)


def test_a_negative_displacement_is_refused() -> None:
    with pytest.raises(ValueError, match="max_displacement"):
        PseudoLabeling(max_displacement=-1)
