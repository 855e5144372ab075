from collections.abc import Callable, Iterator
from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F

from improved_gan.data import LabeledImages, LabelSplit
from improved_gan.label_spreading.pseudo_label_state import PseudoLabelState
from improved_gan.label_spreading.pseudo_labeling import PseudoLabeling
from improved_gan.networks import Discriminator, DiscriminatorOutput
from improved_gan.recipes.digits import digits
from improved_gan.recipes.experiment import Experiment
from improved_gan.training.loop import take_steps
from improved_gan.training.state import TrainingState


class Oracle(Discriminator):
    """Its hidden layers know the class of each image, which its first pixel tells, and more that is of no use."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = torch.nn.Parameter(torch.zeros(1))

    def forward(self, images: torch.Tensor) -> DiscriminatorOutput:
        raise AssertionError("only its layers are asked for")

    def hidden_layers(self, images: torch.Tensor) -> list[torch.Tensor]:
        classes = (images[:, 0, 0, 0] * 255).round().long()
        noise = torch.rand(len(images), 3, generator=torch.Generator().manual_seed(len(images)))
        return [1e3 * noise, torch.full((len(images), 2, 2, 2), 7.0), 5 * F.one_hot(classes, 3) + 0.1 * noise]


def marked() -> tuple[LabeledImages, LabelSplit]:
    """300 images of noise whose first pixel is the class."""
    images = torch.randint(0, 256, (300, 1, 4, 4), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    images[:, 0, 0, 0] = torch.arange(300) % 3
    data = LabeledImages(images, torch.arange(300) % 3)
    return data, LabelSplit.draw(data.labels, 9, seed=1)


def renewed(pseudo_labeling: PseudoLabeling, discriminator: Callable[[], Discriminator]) -> PseudoLabelState:
    return PseudoLabelState(pseudo_labeling, *marked(), epochs=8, batch_size=60, discriminator=discriminator)


ROUNDS = PseudoLabeling(batch_size=5, confident_fraction=0.5, active_fraction=0.5, num_rounds=2, later_fraction=0.9)


def test_the_second_round_asks_the_layers_of_the_discriminator() -> None:
    data, split = marked()
    asked = []
    source = renewed(ROUNDS, lambda: asked.append(1) or Oracle())  # type: ignore[func-returns-value]
    first = source.at(0)
    expected = replace(ROUNDS, num_rounds=1).pseudo_labels(data, split, epochs=8)
    assert first is not None
    assert torch.equal(first.indices, expected.indices)
    assert torch.equal(first.classes, expected.classes)
    assert source.at(1) is not None
    assert [source.at(epoch) for epoch in (2, 3)] == [None, None]
    assert not asked
    for epoch in (4, 5):
        second = source.at(epoch)
        assert second is not None
        assert torch.equal(second.classes, data.labels[second.indices])
        assert 0.8 * 300 < len(second.indices) <= 0.9 * 300
        assert second.batch_size == 5
    assert [source.at(epoch) for epoch in (6, 7)] == [None, None]
    assert len(asked) == 1


@pytest.mark.parametrize(
    ("graph_layers", "right"),
    [((2,), True), ((1, 2), True), ((7,), True), ((0, 1, 2), True), ((0, 1), False), ((0,), False)],
)
def test_only_the_layers_that_are_named_have_a_part(graph_layers: tuple[int, ...], right: bool) -> None:
    """Only the last of three is of use; each counts the same, however large it is."""
    data, _ = marked()
    pseudo_labels = renewed(replace(ROUNDS, graph_layers=graph_layers), Oracle).at(4)
    assert pseudo_labels is not None
    wrong = (pseudo_labels.classes != data.labels[pseudo_labels.indices]).float().mean().item()
    assert (wrong == 0) if right else (wrong > 0.3)


def test_guesses_are_saved_and_go_on_without_being_made_again() -> None:
    def never() -> Discriminator:
        raise AssertionError("guesses are made again")

    source, later = renewed(ROUNDS, Oracle), renewed(ROUNDS, never)
    wanted = source.at(5)
    later.load_state_dict(source.state_dict())
    got = later.at(5)
    assert wanted is not None
    assert got is not None
    assert torch.equal(got.indices, wanted.indices)
    assert torch.equal(got.classes, wanted.classes)
    with pytest.raises(AssertionError, match="made again"):
        renewed(ROUNDS, never).at(5)


class Across(Oracle):
    """Its layers hold the number of images in the batch."""

    is_batch_independent = False

    def hidden_layers(self, images: torch.Tensor) -> list[torch.Tensor]:
        assert len(images) == 60
        return super().hidden_layers(images)


def test_a_network_that_looks_across_the_batch_sees_batches_as_in_training() -> None:
    data, _ = marked()
    pseudo_labels = renewed(ROUNDS, Across).at(4)
    assert pseudo_labels is not None
    assert torch.equal(pseudo_labels.classes, data.labels[pseudo_labels.indices])


def test_a_network_that_diverged_leaves_its_guesses_as_they_are() -> None:
    class Diverged(Oracle):
        def hidden_layers(self, images: torch.Tensor) -> list[torch.Tensor]:
            return [layer * torch.nan for layer in super().hidden_layers(images)]

    source = renewed(ROUNDS, Diverged)
    first, second = source.at(0), source.at(4)
    assert first is not None
    assert second is not None
    assert torch.equal(first.indices, second.indices)
    assert torch.equal(first.classes, second.classes)


def test_a_run_of_several_rounds_goes_on_to_the_last_bit() -> None:
    torch.set_num_threads(1)
    recipe = replace(
        digits(), epochs=4, pseudo_labeling=PseudoLabeling(10, num_rounds=2, active_fraction=0.8, num_components=32)
    )
    experiment = Experiment.prepare(recipe, seed=1, split_seed=1, data_folder=None, device="cpu")

    def states(state: TrainingState) -> Iterator[dict[str, torch.Tensor]]:
        steps = take_steps(state, experiment.batches(state), recipe.objective, experiment.schedule())
        yield from ({name: value.clone() for name, value in state.tensors().items()} for _ in steps)

    whole = list(states(experiment.start()))
    per_epoch = len(whole) // 4
    assert not torch.equal(whole[0]["guesses.classes"], whole[-1]["guesses.classes"])
    for done in (per_epoch // 2, 2 * per_epoch, 2 * per_epoch + 3):  # in a round, between two, in the second
        state = experiment.start()
        state.load(whole[done - 1])
        rest = list(states(state))
        assert len(rest) == len(whole) - done
        for name, value in whole[-1].items():
            assert name == "progress.seconds" or torch.equal(rest[-1][name], value), name


def test_with_a_reach_the_mean_of_both_graphs_counts() -> None:
    """The layers know all classes; the images' noise knows none, so what is sure of the mean is the layers'."""
    data, _ = marked()
    pseudo_labeling = replace(ROUNDS, max_displacement=1, later_fraction=1.0)
    source = renewed(pseudo_labeling, Oracle)
    first, second = source.at(0), source.at(4)
    assert first is not None
    assert second is not None
    assert source.first_probabilities is not None
    torch.testing.assert_close(source.first_probabilities.sum(1), torch.ones(300))
    wrong = [(one.classes != data.labels[one.indices]).float().mean().item() for one in (first, second)]
    assert wrong[1] < 0.1 < 0.3 < wrong[0]
    opposite = renewed(pseudo_labeling, Oracle)
    opposite.at(0)
    assert opposite.first_probabilities is not None
    opposite.first_probabilities.copy_(2 * F.one_hot((data.labels + 1) % 3, 3))  # surer than any layer
    told = opposite.at(4)
    assert told is not None
    assert (told.classes == (data.labels[told.indices] + 1) % 3).all()
    later = renewed(pseudo_labeling, Oracle)
    later.load_state_dict(source.state_dict())
    assert torch.equal(later.first_probabilities, source.first_probabilities)  # type: ignore[arg-type]
    assert "first_probabilities" not in renewed(ROUNDS, Oracle).state_dict()


def test_guesses_with_a_reach_are_saved_with_one_round_too(monkeypatch: pytest.MonkeyPatch) -> None:
    """They take long: a run that goes on does not make them again."""
    recipe = replace(digits(), epochs=2, pseudo_labeling=PseudoLabeling(10, max_displacement=1))
    experiment = Experiment.prepare(recipe, seed=1, split_seed=1, data_folder=None, device="cpu")
    state = experiment.start()
    next(iter(take_steps(state, experiment.batches(state), recipe.objective, experiment.schedule())))
    saved = state.tensors()
    assert (saved["guesses.classes"] >= 0).any()
    assert "guesses.first_probabilities" not in saved
    later = experiment.start()
    later.load(saved)

    def again(*_: object) -> torch.Tensor:
        raise AssertionError("guesses are made again")

    monkeypatch.setattr(PseudoLabeling, "class_probabilities", again)
    assert isinstance(later.pseudo_labels, PseudoLabelState)
    assert later.pseudo_labels.at(0) is not None
    fresh = experiment.start().pseudo_labels
    assert isinstance(fresh, PseudoLabelState)
    with pytest.raises(AssertionError, match="made again"):
        fresh.at(0)
