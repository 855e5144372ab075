"""One battery over all techniques: what every technique must satisfy. The members are in members.py."""

import copy
import re
import warnings

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from improved_gan import distributed, techniques
from improved_gan.label_spreading import virtual_adversarial
from tests.contracts.members import MEMBERS, Call, Member
from tests.ranks import WORLD_SIZE, TwoRanks

N = 8
DEVICES = ["meta", *(["cuda"] if torch.cuda.is_available() else [])]


@pytest.fixture(params=MEMBERS)
def member(request: pytest.FixtureRequest) -> Member:
    return MEMBERS[request.param]


def built(member: Member) -> Call:
    torch.manual_seed(0)
    return member.build()


def converted(member: Member, call: Call, **target: object) -> tuple[Call, tuple[Tensor, ...]]:
    """A copy of what is called and its inputs, moved; whole numbers keep their dtype."""
    to_device = {key: value for key, value in target.items() if key == "device"}
    inputs = tuple(x.to(**(target if x.is_floating_point() else to_device)) for x in member.inputs(N))
    return copy.deepcopy(call).to(**target) if isinstance(call, nn.Module) else call, inputs


def test_every_public_name_is_a_member() -> None:
    covered = {name.split("-")[0].split(".")[0] for name in MEMBERS}
    helpers = {
        "real_and_generated_similarity",
        "convert_virtual_batch_norm",
        "warm_up_decay",
    }  # tested through members built with them
    objectives = {"VirtualAdversarialObjective"}  # tested in tests/training/test_objectives.py
    assert {*techniques.__all__, *virtual_adversarial.__all__} - helpers - objectives <= covered


@pytest.mark.parametrize("n", [2, N])
def test_shape_and_numpy_referee(member: Member, n: int) -> None:
    call, inputs = built(member), member.inputs(n)
    output = call(*inputs)
    assert output.shape == member.shape(n)
    expected = member.oracle(call, *(x.numpy() for x in inputs))
    np.testing.assert_allclose(output.detach().numpy(), expected, rtol=1e-10, atol=1e-10)


def test_gradients(member: Member) -> None:
    call, inputs = built(member), member.inputs(3)
    for index in member.learns:
        inputs[index].requires_grad_()
    if member.learns:
        assert torch.autograd.gradcheck(call, inputs)
        assert torch.autograd.gradgradcheck(call, inputs)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32])
def test_dtype_moves(member: Member, dtype: torch.dtype) -> None:
    call = built(member)
    expected = call(*member.inputs(N))
    moved, inputs = converted(member, call, dtype=dtype)
    output = moved(*inputs)
    assert output.dtype in (dtype, torch.float32)
    tolerance = 1e-4 if dtype == torch.float32 else 0.2
    torch.testing.assert_close(output.double(), expected, rtol=tolerance, atol=tolerance)


def test_double_precision_stays_double_precision(member: Member) -> None:
    call, inputs = built(member), member.inputs(N)
    for index in member.learns:
        inputs[index].requires_grad_()
    output = call(*inputs)
    assert output.dtype == torch.float64
    if member.learns:
        gradients = torch.autograd.grad(output.sum(), [inputs[index] for index in member.learns])
        assert {gradient.dtype for gradient in gradients} == {torch.float64}
    # Not only the name: a number that went through float32 on its way has lost half of its digits.
    assert not torch.equal(output, output.float().double())


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_is_summed_in_float32(member: Member, dtype: torch.dtype) -> None:
    """Of many rows: a sum in half precision would stop growing at 2,048 (float16) or 256 (bfloat16)."""
    if member.shape(N) != ():
        pytest.skip("no number of the batch as a whole; rounding of rows is in test_dtype_moves")
    if not member.batched:
        pytest.skip("is of no batch")
    call = built(member)
    inputs = [x.to(dtype) if x.is_floating_point() else x for x in member.inputs(3000)]
    output = call(*inputs)
    assert output.dtype == torch.float32
    precise = call(*(x.double() if x.is_floating_point() else x for x in inputs))
    torch.testing.assert_close(output.double(), precise, rtol=0.02 if member.rounds else 1e-5, atol=1e-6)


def test_modes_are_kept(member: Member) -> None:
    call = built(member)
    if not isinstance(call, nn.Module):
        pytest.skip("a function has no mode")
    modules = [module for name, module in call.named_modules() if name]
    for module in modules[-1:]:
        module.training = not module.training  # one that is frozen, or the only one that is not
    before = [module.training for module in call.modules()]
    call(*member.inputs(N))
    assert [module.training for module in call.modules()] == before


@pytest.mark.parametrize("reentrant", [True, False])
def test_checkpointing_changes_no_gradient(member: Member, reentrant: bool) -> None:
    """Also when the pass is recomputed after another one with another batch."""
    if not member.learns:
        pytest.skip("has no gradient")
    call, results = built(member), []
    for again in (False, True):
        inputs = member.inputs(N)
        for index in member.learns:
            inputs[index].requires_grad_()
        output = checkpoint(call, *inputs, use_reentrant=reentrant) if again else call(*inputs)
        call(*(2 * x if x.is_floating_point() else x for x in member.inputs(N)))
        parameters = [p for p in call.parameters() if p.requires_grad] if isinstance(call, nn.Module) else []
        for parameter in parameters:
            parameter.grad = None
        output.sin().sum().backward()
        results.append([inputs[index].grad for index in member.learns] + [p.grad for p in parameters])
    torch.testing.assert_close(*results)


@pytest.mark.parametrize("device", DEVICES)
def test_device_moves(member: Member, device: str) -> None:
    if member.reads_values and device == "meta":
        pytest.skip("looks at numbers, which the meta device does not have")
    moved, inputs = converted(member, built(member), device=device)
    output = moved(*inputs)
    assert output.device.type == device
    assert output.shape == member.shape(N)


def test_autocast(member: Member) -> None:
    call, inputs = converted(member, built(member), dtype=torch.float32)
    expected = call(*inputs)
    for index in member.learns:
        inputs[index].requires_grad_()
    with torch.autocast("cpu", torch.bfloat16):
        output = call(*inputs)
    torch.testing.assert_close(output.float(), expected, rtol=0.2, atol=0.2)
    if output.requires_grad and member.learns:
        gradients = torch.autograd.grad(output.float().sum(), [inputs[index] for index in member.learns])
        assert all(gradient.isfinite().all() for gradient in gradients)


def test_state_dict_and_deepcopy(member: Member) -> None:
    call, inputs = built(member), member.inputs(N)
    if not isinstance(call, nn.Module):
        pytest.skip("a function has no state")
    expected = call(*inputs)
    again = member.build()  # with another seed than 0
    again.load_state_dict(call.state_dict())
    for same in (again, copy.deepcopy(call)):
        assert torch.equal(same(*inputs), expected)
    with torch.no_grad():
        for parameter in call.parameters():
            parameter.zero_()
    assert torch.equal(again(*inputs), expected)


def test_compile(member: Member) -> None:
    if member.compiles == "never":
        pytest.skip("runs outside of the step that one compiles")
    call, inputs = built(member), member.inputs(N)
    for index in member.learns:
        inputs[index].requires_grad_()
    torch._dynamo.reset()
    compiled = torch.compile(call, fullgraph=member.compiles == "fullgraph", backend="aot_eager", dynamic=False)
    expected, output = call(*inputs), compiled(*inputs)
    torch.testing.assert_close(output, expected)
    wanted = [inputs[index] for index in member.learns]
    both = [torch.autograd.grad(o.square().sum(), wanted) for o in (output, expected)]
    torch.testing.assert_close(*both)


@pytest.mark.parametrize("n", [0, 1])
def test_few_examples(member: Member, n: int) -> None:
    error = member.single if n else member.empty
    if error is None:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            output = built(member)(*member.inputs(n))
        assert output.shape == member.shape(n)
        assert output.isfinite().all()
        return
    with pytest.raises(ValueError, match=error):
        built(member)(*member.inputs(n))


def test_an_error_names_both_shapes(member: Member) -> None:
    inputs, pattern = member.wrong
    with pytest.raises((ValueError, RuntimeError, TypeError), match=pattern):
        built(member)(*inputs)


LOSSES_OF_LOGITS = [name for name, one in MEMBERS.items() if one.wrong[1] == r"\(N,\).*\(5, 3\)"]


@pytest.mark.parametrize("shape", [(5, 1), (5, 1, 1, 1), (5, 1, 4, 4), ()])
@pytest.mark.parametrize("name", LOSSES_OF_LOGITS)
def test_wrong_logits_get_the_remedy(name: str, shape: tuple[int, ...]) -> None:
    call, good = built(MEMBERS[name]), MEMBERS[name].inputs(5)
    assert len(LOSSES_OF_LOGITS) == 12
    for index in range(len(good)):  # each argument by itself, so that none broadcasts silently
        inputs = [torch.zeros(shape) if place == index else one for place, one in enumerate(good)]
        with pytest.raises(ValueError, match=rf"got {re.escape(str(shape))}\. .*_logits\.(flatten\(\)|reshape\(1\))"):
            call(*inputs)


def step(name: str) -> tuple[Tensor, list[Tensor], list[Tensor | None]]:
    """Output, input gradients and averaged parameter gradients on this rank's rows of the batch."""
    member = MEMBERS[name]
    call = built(member)
    own = slice(None)
    if member.batched:
        per_rank = N // distributed.world_size()
        own = slice(distributed.rank() * per_rank, (distributed.rank() + 1) * per_rank)
    inputs = [x[own].clone() for x in member.inputs(N)]
    wanted = [inputs[index].requires_grad_() for index in member.learns]
    output = call(*inputs)
    loss = output.sin().mean() if output.dim() and len(output) == len(inputs[0]) else output.mean()
    if loss.requires_grad:
        loss.backward()
    parameters = list(call.parameters()) if isinstance(call, nn.Module) else []
    distributed.average_gradients(parameters)
    return output.detach(), [x.grad for x in wanted], [p.grad for p in parameters]


@pytest.mark.parametrize("name", MEMBERS)
def test_two_ranks_agree_with_one_process(name: str, two_ranks: TwoRanks) -> None:
    whole_output, whole_inputs, whole_parameters = step(name)
    outputs, inputs, parameters = zip(*two_ranks(step, name), strict=True)
    if whole_output.dim() and len(whole_output) == N:
        torch.testing.assert_close(torch.cat(outputs), whole_output)
    else:  # a loss: its mean over ranks
        torch.testing.assert_close(torch.stack(outputs).mean(0), whole_output)
    for of_rank in parameters:
        torch.testing.assert_close(of_rank, whole_parameters)
    if MEMBERS[name].batched:
        for index, whole in enumerate(whole_inputs):
            gathered = torch.cat([of_rank[index] for of_rank in inputs]) / WORLD_SIZE
            torch.testing.assert_close(gathered, whole)
