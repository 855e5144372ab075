import copy
from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from improved_gan.techniques import ReferenceBatch, VirtualBatchNorm
from improved_gan.techniques.reference_batch import _network_inputs
from tests.oracles.virtual_batch_norm import virtual_batch_norm

LATENTS, LABELS = torch.randn(12, 3, dtype=torch.float64), torch.arange(12) % 5
GIVEN = {  # how a network of two inputs is given its reference, and called
    "positional": ((LATENTS, LABELS), None, lambda g, z, y: g(z, y)),
    "mixed": (LATENTS, {"labels": LABELS}, lambda g, z, y: g(z, labels=y)),
    "keywords": ({"labels": LABELS, "latents": LATENTS}, None, lambda g, z, y: g(latents=z, labels=y)),
}


class Conditional(nn.Module):
    """Latents (N, 3) and classes (N,) to (N, 4), normalized; or one block of it checkpointed."""

    def __init__(self, *, again: bool | None = None) -> None:
        super().__init__()
        self.classes, self.dense = nn.Embedding(5, 2), nn.Linear(5, 4)
        self.block = nn.Sequential(nn.Linear(4, 4), VirtualBatchNorm(4))
        self.again = again

    def forward(self, latents: Tensor, labels: Tensor) -> Tensor:
        hidden = self.dense(torch.cat([latents, self.classes(labels)], 1)).tanh()
        return self.block(hidden) if self.again is None else checkpoint(self.block, hidden, use_reentrant=self.again)


def wrapped(kind: str = "positional", **options: object) -> tuple[ReferenceBatch, Callable[..., Tensor]]:
    reference, keywords, call = GIVEN[kind]
    torch.manual_seed(2)
    network = Conditional(**options).double()  # type: ignore[arg-type]
    return ReferenceBatch(network, reference, keywords=keywords, rows_at_once=16), call  # type: ignore[arg-type]


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("kind", GIVEN)
def test_several_inputs_agree_with_numpy(kind: str, training: bool) -> None:
    made, call = wrapped(kind)
    made.train(training)
    latents, labels = torch.randn(21, 3).double(), torch.randint(5, (21,))
    network = made.network
    hidden = [
        network.block[0](network.dense(torch.cat([z, network.classes(y)], 1)).tanh()).detach().numpy()
        for z, y in ((latents, labels), (LATENTS, LABELS))
    ]
    expected = virtual_batch_norm(*hidden, np.ones(4), np.zeros(4))[0]
    np.testing.assert_allclose(call(made, latents, labels).detach(), expected, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("kind", GIVEN)
def test_the_reference_is_saved_and_moved_with_the_network(kind: str) -> None:
    made, call = wrapped(kind)
    latents, labels = torch.randn(3, 3).double(), torch.tensor([0, 4, 2])
    expected = call(made.eval(), latents, labels)
    again, _ = wrapped(kind)
    for buffer in (again.get_buffer(name) for name in made.state_dict() if name.startswith("reference")):
        buffer.zero_()
    again.load_state_dict(made.state_dict())
    assert torch.equal(call(again.eval(), latents, labels), expected)
    assert torch.equal(call(copy.deepcopy(made), latents, labels), expected)
    assert len([name for name in made.state_dict() if name.startswith("reference")]) == 2
    assert call(made.float(), latents.float(), labels).dtype == torch.float32
    assert call(made.to("meta"), latents.float().to("meta"), labels.to("meta")).device.type == "meta"


def test_one_image_alone_and_padding_that_is_a_valid_input() -> None:
    made, call = wrapped()
    made.eval()
    latents, labels = torch.randn(21, 3).double(), torch.full((21,), 3)
    together = call(made, latents, labels)
    assert torch.equal(call(made, latents[20:], labels[20:])[0], together[20])
    assert call(made, latents[:0], labels[:0]).shape == (0, 4)
    seen: list[Tensor] = []
    made.network.classes.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
    call(made, latents[:1], labels[:1])
    assert seen[0].tolist() == [3, *(LABELS.tolist() * 2)[:15]]  # rows of the reference fill the block


def test_other_inputs_are_refused_with_the_form_of_the_reference() -> None:
    made, _ = wrapped("mixed")
    latents, labels = torch.randn(3, 3).double(), torch.tensor([0, 4, 2])
    wanted = r"inputs must match the reference, \(N, 3,\) of torch.float64, labels=\(N,\) of torch.int64; got "
    with pytest.raises(ValueError, match=wanted + r"\(3, 3\) of torch.float64$"):
        made(latents)
    with pytest.raises(ValueError, match=wanted + r"\(3, 3\) of torch.float64, \(3,\) of torch.int64"):
        made(latents, labels)
    with pytest.raises(ValueError, match=r"labels=.*got .*labels=.*int32"):
        made(latents, labels=labels.int())
    with pytest.raises(ValueError, match="same number of rows"):
        made(latents, labels=labels[:2])
    with pytest.raises(ValueError, match=r"n >= 2 examples; got \(1, 3\), \(1,\)"):
        ReferenceBatch(Conditional(), (LATENTS[:1], LABELS[:1]))


class Pair(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.norm = VirtualBatchNorm(3)

    def forward(self, values: Tensor) -> tuple[Tensor, Tensor]:
        return self.norm(values), values


def test_an_output_that_is_no_tensor_is_refused() -> None:
    with pytest.raises(TypeError, match=r"must return one tensor.*got tuple"):
        ReferenceBatch(Pair(), torch.randn(4, 3))(torch.randn(2, 3))


def gradients(again: bool | None, *, training: bool, eval_pass: bool) -> list[Tensor]:
    made, call = wrapped(again=again)
    made.train(training)
    latents, labels = torch.randn(4, 3).double().requires_grad_(), torch.tensor([0, 4, 2, 2])
    loss = call(made, latents, labels).sin().sum()
    if eval_pass:  # between both passes, of as many rows as the reference and the batch have: 12 + 4
        made.eval()
        with torch.no_grad():
            call(made, latents + 5, labels)
        made.train(training)
    loss.backward()
    return [latents.grad, *(parameter.grad for parameter in made.parameters())]  # type: ignore[list-item]


# PyTorch says so of the pass that computes the reference's statistics, which needs no gradient.
@pytest.mark.filterwarnings("ignore:None of the inputs have requires_grad")
@pytest.mark.parametrize("eval_pass", [True, False])
@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("reentrant", [True, False])
def test_checkpointed_blocks_give_the_same_gradients(reentrant: bool, training: bool, eval_pass: bool) -> None:
    torch.manual_seed(0)
    expected = gradients(None, training=training, eval_pass=eval_pass)
    torch.manual_seed(0)
    found = gradients(reentrant, training=training, eval_pass=eval_pass)
    for ours, theirs in zip(found, expected, strict=True):
        torch.testing.assert_close(ours, theirs)


@pytest.mark.parametrize("reentrant", [True, False])
def test_a_mode_that_changed_before_the_second_pass_is_refused(reentrant: bool) -> None:
    made, call = wrapped(again=reentrant)
    loss = call(made, torch.randn(5, 3).double(), LABELS[:5]).sum()
    made.eval()
    with pytest.raises(RuntimeError, match=r"another mode.*call backward\(\) before"):
        loss.backward()


def test_the_network_by_itself_is_refused_in_training() -> None:
    made, call = wrapped()
    call(made.eval(), LATENTS, LABELS)
    made.train()
    with pytest.raises(RuntimeError, match="call that, not the network"):
        made.network(LATENTS, LABELS)


POINTS, NAMES = torch.randn(5, 3), torch.arange(5)


def test_positional_and_keyword_inputs() -> None:
    def function(z: torch.Tensor, y: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        return z, y

    given = [
        _network_inputs((POINTS, NAMES)),
        _network_inputs([POINTS], {"y": NAMES}),
        _network_inputs({"y": NAMES, "z": POINTS}),
        _network_inputs({"z": POINTS}, {"y": NAMES}),
    ]
    for one in given:
        latents, labels = one.call(function)
        assert latents is POINTS
        assert labels is NAMES
        assert len(one) == 5
    assert given[2].kind() == given[3].kind()  # the order of keywords does not matter
    assert given[0].kind() != given[1].kind() != given[2].kind()
    assert _network_inputs(POINTS).kind() != _network_inputs(POINTS.double()).kind()


def test_row_operations_apply_to_all_inputs() -> None:
    live, fill = _network_inputs([POINTS], {"y": NAMES}), _network_inputs([POINTS[:2] + 9], {"y": NAMES[:2] + 9})
    both = fill.then(live)
    assert both.keywords["y"].tolist() == [9, 10, 0, 1, 2, 3, 4]
    assert torch.equal(both.positional[0][2:], POINTS)
    assert live.block(0, 4, fill).keywords["y"].tolist() == [0, 1, 2, 3]
    assert live.block(4, 4, fill).keywords["y"].tolist() == [4, 9, 10, 9]
    assert torch.equal(live.block(4, 4, fill).positional[0][1], POINTS[0] + 9)


def test_description() -> None:
    inputs = _network_inputs([POINTS], {"y": NAMES})
    assert inputs.describe("N") == "(N, 3,) of torch.float32, y=(N,) of torch.int64"
    assert inputs.describe() == "(5, 3) of torch.float32, y=(5,) of torch.int64"


def test_bad_inputs_of_the_reference() -> None:
    with pytest.raises(TypeError, match="got int"):
        _network_inputs((POINTS, 3))  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="got none"):
        _network_inputs(())
    with pytest.raises(ValueError, match=r"scalar \(\)"):
        _network_inputs(torch.tensor(1.0))
    with pytest.raises(ValueError, match=r"same number of rows.*\(5, 3\), \(4,\)"):
        _network_inputs((POINTS, NAMES[:4]))
