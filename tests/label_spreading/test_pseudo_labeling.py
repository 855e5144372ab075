import re
from collections.abc import Callable, Iterator
from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F

from improved_gan.data import LabeledImages, LabelSplit, PseudoLabels, load_digits
from improved_gan.label_spreading import grid_positions
from improved_gan.label_spreading.pseudo_labeling import PseudoLabeling, PseudoLabelState
from improved_gan.networks import ConvolutionalDiscriminator, Discriminator, DiscriminatorOutput
from improved_gan.recipes.digits import digits
from improved_gan.runs.build import Experiment
from improved_gan.runs.loop import take_steps
from improved_gan.training.state import TrainingState

IMAGES = load_digits().train.images[:120]


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


class Oracle(Discriminator):
    """Its last hidden layer encodes the class of each image, which is its first pixel; the others do not."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = torch.nn.Parameter(torch.zeros(1))

    def forward(self, images: torch.Tensor) -> DiscriminatorOutput:
        raise AssertionError("only hidden_layers should be called")

    def hidden_layers(self, images: torch.Tensor) -> list[torch.Tensor]:
        classes = (images[:, 0, 0, 0] * 255).round().long()
        noise = torch.rand(len(images), 3, generator=torch.Generator().manual_seed(len(images)))
        return [1e3 * noise, torch.full((len(images), 2, 2, 2), 7.0), 5 * F.one_hot(classes, 3) + 0.1 * noise]


def data_with_class_pixel() -> tuple[LabeledImages, LabelSplit]:
    """300 images of noise whose first pixel is the class."""
    images = torch.randint(0, 256, (300, 1, 4, 4), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    images[:, 0, 0, 0] = torch.arange(300) % 3
    data = LabeledImages(images, torch.arange(300) % 3)
    return data, LabelSplit.draw(data.labels, 9, seed=1)


def state_of(pseudo_labeling: PseudoLabeling, discriminator: Callable[[], Discriminator]) -> PseudoLabelState:
    return PseudoLabelState(
        pseudo_labeling, *data_with_class_pixel(), epochs=8, batch_size=60, discriminator=discriminator
    )


ROUNDS = PseudoLabeling(batch_size=5, confident_fraction=0.5, active_fraction=0.5, num_rounds=2, later_fraction=0.9)


def test_the_second_round_uses_hidden_layers_of_the_discriminator() -> None:
    data, split = data_with_class_pixel()
    calls = []
    source = state_of(ROUNDS, lambda: calls.append(1) or Oracle())  # type: ignore[func-returns-value]
    first = source.at(0)
    expected = replace(ROUNDS, num_rounds=1).pseudo_labels(data, split, epochs=8)
    assert first is not None
    assert torch.equal(first.indices, expected.indices)
    assert torch.equal(first.classes, expected.classes)
    assert source.at(1) is not None
    assert [source.at(epoch) for epoch in (2, 3)] == [None, None]
    assert not calls
    for epoch in (4, 5):
        second = source.at(epoch)
        assert second is not None
        assert torch.equal(second.classes, data.labels[second.indices])
        assert 0.8 * 300 < len(second.indices) <= 0.9 * 300
        assert second.batch_size == 5
    assert [source.at(epoch) for epoch in (6, 7)] == [None, None]
    assert len(calls) == 1


@pytest.mark.parametrize(
    ("graph_layers", "right"),
    [((2,), True), ((1, 2), True), ((7,), True), ((0, 1, 2), True), ((0, 1), False), ((0,), False)],
)
def test_only_graph_layers_enter_the_graph(graph_layers: tuple[int, ...], right: bool) -> None:
    """Only the last of three layers encodes the class; each has the same weight, whatever its scale."""
    data, _ = data_with_class_pixel()
    pseudo_labels = state_of(replace(ROUNDS, graph_layers=graph_layers), Oracle).at(4)
    assert pseudo_labels is not None
    wrong = (pseudo_labels.classes != data.labels[pseudo_labels.indices]).float().mean().item()
    assert (wrong == 0) if right else (wrong > 0.3)


def test_pseudo_labels_are_saved_and_not_computed_again_after_loading() -> None:
    def never() -> Discriminator:
        raise AssertionError("pseudo-labels are computed again")

    source, later = state_of(ROUNDS, Oracle), state_of(ROUNDS, never)
    wanted = source.at(5)
    later.load_state_dict(source.state_dict())
    got = later.at(5)
    assert wanted is not None
    assert got is not None
    assert torch.equal(got.indices, wanted.indices)
    assert torch.equal(got.classes, wanted.classes)
    with pytest.raises(AssertionError, match="computed again"):
        state_of(ROUNDS, never).at(5)


class Across(Oracle):
    """Not batch-independent: it checks the number of images in the batch."""

    is_batch_independent = False

    def hidden_layers(self, images: torch.Tensor) -> list[torch.Tensor]:
        assert len(images) == 60
        return super().hidden_layers(images)


def test_a_network_that_is_not_batch_independent_gets_batches_as_in_training() -> None:
    data, _ = data_with_class_pixel()
    pseudo_labels = state_of(ROUNDS, Across).at(4)
    assert pseudo_labels is not None
    assert torch.equal(pseudo_labels.classes, data.labels[pseudo_labels.indices])


def test_hidden_layers_of_convolutions_come_from_few_images_at_a_time() -> None:
    network = ConvolutionalDiscriminator((3, 32, 32), 2, widths=(2, 4), convolutions=1)
    data = LabeledImages(torch.randint(0, 256, (100, 3, 32, 32), dtype=torch.uint8), torch.arange(100) % 2)
    split = LabelSplit.draw(data.labels, 10, seed=0)
    state = PseudoLabelState(ROUNDS, data, split, epochs=8, batch_size=60, discriminator=lambda: network)
    seen: list[int] = []
    network.register_forward_hook(lambda _, inputs, output: seen.append(len(inputs[0])))
    (features,) = state._layers(torch.arange(100))  # f(x) is the only hidden layer of this network
    assert seen == [85, 15]
    with torch.no_grad():
        torch.testing.assert_close(features, network(data.images / 255).features)


def test_pseudo_labels_are_kept_when_the_network_has_diverged() -> None:
    class Diverged(Oracle):
        def hidden_layers(self, images: torch.Tensor) -> list[torch.Tensor]:
            return [layer * torch.nan for layer in super().hidden_layers(images)]

    source = state_of(ROUNDS, Diverged)
    first, second = source.at(0), source.at(4)
    assert first is not None
    assert second is not None
    assert torch.equal(first.indices, second.indices)
    assert torch.equal(first.classes, second.classes)


def test_a_resumed_run_of_several_rounds_is_bit_exact() -> None:
    torch.set_num_threads(1)
    recipe = replace(
        digits(), epochs=4, pseudo_labeling=PseudoLabeling(10, num_rounds=2, active_fraction=0.8, num_components=32)
    )
    experiment = Experiment.prepare(recipe, seed=1, split_seed=1, data_folder=None, device="cpu")

    def states(state: TrainingState) -> Iterator[dict[str, torch.Tensor]]:
        steps = take_steps(state, experiment.batches(state), recipe.objective, experiment.recipe)
        yield from ({name: value.clone() for name, value in state.tensors().items()} for _ in steps)

    whole = list(states(experiment.start()))
    per_epoch = len(whole) // 4
    assert not torch.equal(whole[0]["pseudo_labels.classes"], whole[-1]["pseudo_labels.classes"])
    for done in (per_epoch // 2, 2 * per_epoch, 2 * per_epoch + 3):  # in a round, between two, in the second
        state = experiment.start()
        state.load(whole[done - 1])
        rest = list(states(state))
        assert len(rest) == len(whole) - done
        for name, value in whole[-1].items():
            assert name == "progress.seconds" or torch.equal(rest[-1][name], value), name


def test_with_a_displacement_the_mean_of_both_graphs_is_used() -> None:
    """The layers encode the classes and the noise images do not, so the layers determine the mean."""
    data, _ = data_with_class_pixel()
    pseudo_labeling = replace(ROUNDS, max_displacement=1, later_fraction=1.0)
    source = state_of(pseudo_labeling, Oracle)
    first, second = source.at(0), source.at(4)
    assert first is not None
    assert second is not None
    assert source.first_probabilities is not None
    torch.testing.assert_close(source.first_probabilities.sum(1), torch.ones(300))
    wrong = [(one.classes != data.labels[one.indices]).float().mean().item() for one in (first, second)]
    assert wrong[1] < 0.1 < 0.3 < wrong[0]
    opposite = state_of(pseudo_labeling, Oracle)
    opposite.at(0)
    assert opposite.first_probabilities is not None
    opposite.first_probabilities.copy_(2 * F.one_hot((data.labels + 1) % 3, 3))  # more confident than any layer
    overruled = opposite.at(4)
    assert overruled is not None
    assert (overruled.classes == (data.labels[overruled.indices] + 1) % 3).all()
    later = state_of(pseudo_labeling, Oracle)
    later.load_state_dict(source.state_dict())
    assert torch.equal(later.first_probabilities, source.first_probabilities)  # type: ignore[arg-type]
    assert "first_probabilities" not in state_of(ROUNDS, Oracle).state_dict()


def test_pseudo_labels_with_a_displacement_are_saved_with_one_round_too(monkeypatch: pytest.MonkeyPatch) -> None:
    """They take long: a resumed run does not compute them again."""
    recipe = replace(digits(), epochs=2, pseudo_labeling=PseudoLabeling(10, max_displacement=1))
    experiment = Experiment.prepare(recipe, seed=1, split_seed=1, data_folder=None, device="cpu")
    state = experiment.start()
    next(iter(take_steps(state, experiment.batches(state), recipe.objective, experiment.recipe)))
    saved = state.tensors()
    assert (saved["pseudo_labels.classes"] >= 0).any()
    assert "pseudo_labels.first_probabilities" not in saved
    later = experiment.start()
    later.load(saved)

    def again(*_: object) -> torch.Tensor:
        raise AssertionError("pseudo-labels are computed again")

    monkeypatch.setattr(PseudoLabeling, "class_probabilities", again)
    assert isinstance(later.pseudo_labels, PseudoLabelState)
    assert later.pseudo_labels.at(0) is not None
    fresh = experiment.start().pseudo_labels
    assert isinstance(fresh, PseudoLabelState)
    with pytest.raises(AssertionError, match="computed again"):
        fresh.at(0)
