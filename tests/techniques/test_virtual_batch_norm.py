import copy
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from improved_gan.techniques import (
    MinibatchDiscrimination,
    MinibatchStandardDeviation,
    ReferenceBatch,
    VirtualBatchNorm,
    convert_virtual_batch_norm,
    weight_norm,
)
from improved_gan.techniques.virtual_batch_norm import _mixed_statistics
from tests.oracles.virtual_batch_norm import virtual_batch_norm

SHAPES = [(4,), (4, 6), (4, 3, 5), (4, 3, 2, 5)]


def generator() -> nn.Module:
    """A small DCGAN-like generator, converted."""
    return convert_virtual_batch_norm(
        nn.Sequential(
            nn.Linear(7, 12, bias=False),
            nn.BatchNorm1d(12),
            nn.ReLU(),
            nn.Unflatten(1, (3, 2, 2)),
            nn.ConvTranspose2d(3, 5, 4, 2, 1),
            nn.BatchNorm2d(5),
            nn.ReLU(),
            weight_norm(nn.ConvTranspose2d(5, 3, 4, 2, 1)),
            nn.Tanh(),
        )
    )


@pytest.fixture
def wrapped() -> ReferenceBatch:
    return ReferenceBatch(generator(), torch.randn(20, 7))


@pytest.mark.parametrize("shape", SHAPES)
def test_agrees_with_numpy(shape: tuple[int, ...]) -> None:
    layer = VirtualBatchNorm(4).double()
    nn.init.normal_(layer.weight)
    nn.init.normal_(layer.bias)
    reference, live = 2 + torch.randn(6, *shape).double(), 1 + 3 * torch.randn(3, *shape).double()
    layer.begin_reference(6)
    output = layer(torch.cat([reference, live])).detach()
    expected = virtual_batch_norm(live, reference, layer.weight.detach(), layer.bias.detach())
    np.testing.assert_allclose(output[6:], expected[0], rtol=1e-10)
    np.testing.assert_allclose(output[:6], expected[1], rtol=1e-10)


@pytest.mark.parametrize("shape", SHAPES)
def test_gradients_flow_through_the_reference(shape: tuple[int, ...]) -> None:
    layer, shape = VirtualBatchNorm(2).double(), (2, *[2] * (len(shape) - 1))
    layer.begin_reference(2)
    reference, live = (torch.randn(2, *shape, dtype=torch.float64, requires_grad=True) for _ in range(2))
    assert torch.autograd.gradcheck(lambda r, x: layer(torch.cat([r, x]))[2:], (reference, live))
    (gradient,) = torch.autograd.grad(layer(torch.cat([reference, live]))[2:].square().sum(), reference)
    assert gradient.abs().sum() > 0


def test_the_live_batch_does_not_matter(wrapped: ReferenceBatch) -> None:
    latents = torch.randn(8, 7)
    torch.testing.assert_close(wrapped(latents)[:1], wrapped(latents[:1]), rtol=1e-4, atol=1e-6)
    both = copy.deepcopy(wrapped).eval()
    torch.testing.assert_close(wrapped(latents), both(latents), rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("threads", [1, 2])
def test_one_image_alone_is_bit_identical_to_a_batch(wrapped: ReferenceBatch, threads: int) -> None:
    torch.set_num_threads(threads)
    latents = torch.randn(37, 7)
    wrapped.eval()
    together = wrapped(latents)
    assert together.shape == (37, 3, 8, 8)
    for index in (0, 5, 20, 36):
        assert torch.equal(wrapped(latents[index : index + 1])[0], together[index])
    assert torch.equal(wrapped(latents[3:30]), together[3:30])
    assert wrapped(latents[:0]).shape == (0, 3, 8, 8)
    wrapped.rows_at_once = None
    torch.testing.assert_close(wrapped(latents), together, rtol=1e-4, atol=1e-6)


def change_a_weight(wrapped: ReferenceBatch) -> None:
    with torch.no_grad():
        wrapped.network[0].weight.mul_(2)


def take_an_optimizer_step(wrapped: ReferenceBatch) -> None:
    wrapped(torch.randn(2, 7)).sum().backward()
    torch.optim.Adam(wrapped.parameters(), lr=0.1).step()


def load_another(wrapped: ReferenceBatch) -> None:
    wrapped.load_state_dict(ReferenceBatch(generator(), torch.randn(20, 7)).state_dict())


def assign_another(wrapped: ReferenceBatch) -> None:
    wrapped.load_state_dict(ReferenceBatch(generator(), torch.randn(20, 7)).state_dict(), assign=True)


def change_the_reference(wrapped: ReferenceBatch) -> None:
    wrapped.reference.mul_(2)


@pytest.mark.parametrize(
    "change", [change_a_weight, take_an_optimizer_step, load_another, assign_another, change_the_reference]
)
def test_kept_statistics_are_never_stale(wrapped: ReferenceBatch, change: object) -> None:
    latents = torch.randn(4, 7)
    before = wrapped.eval()(latents)
    change(wrapped)
    after = wrapped(latents)
    fresh = ReferenceBatch(copy.deepcopy(wrapped.network), wrapped.reference).eval()
    assert not torch.equal(after, before)
    assert torch.equal(after, fresh(latents))


def sampled_then_trained(wrapped: ReferenceBatch, *, fused: bool) -> ReferenceBatch:
    """With statistics of the initial weights; a fused optimizer changes weights without marking it."""
    latents = torch.randn(4, 7)
    wrapped.eval()(latents)
    wrapped.train()(latents).sum().backward()
    torch.optim.Adam(wrapped.parameters(), lr=0.1, fused=fused).step()
    wrapped.zero_grad()
    return wrapped


@pytest.mark.parametrize("copied", [False, True])
@pytest.mark.parametrize("fused", [False, True])
def test_statistics_of_before_training_are_never_used_after_it(
    wrapped: ReferenceBatch, fused: bool, copied: bool
) -> None:
    """Nor by a copy: its tensors count their changes anew, as those of the copy that was sampled did."""
    trained = sampled_then_trained(copy.deepcopy(wrapped) if copied else wrapped, fused=fused)
    tested = (copy.deepcopy(trained) if copied else trained).eval()
    fresh = ReferenceBatch(copy.deepcopy(tested.network), tested.reference).eval()
    latents = torch.randn(4, 7)
    assert torch.equal(tested(latents), fresh(latents))


def test_two_references_of_one_network_do_not_share_statistics(wrapped: ReferenceBatch) -> None:
    other, latents = ReferenceBatch(wrapped.network, 3 * torch.randn(20, 7)).eval(), torch.randn(4, 7)
    before, of_other = wrapped.eval()(latents), other(latents)
    assert not torch.allclose(before, of_other, atol=1e-3)
    assert torch.equal(wrapped(latents), before)
    assert torch.equal(other(latents), of_other)


def test_sampling_runs_the_reference_once(wrapped: ReferenceBatch) -> None:
    rows: list[int] = []
    wrapped.network.register_forward_pre_hook(lambda _, inputs: rows.append(len(inputs[0])))
    wrapped.eval()
    for _ in range(3):
        wrapped(torch.randn(4, 7))
    assert rows == [20, 16, 16, 16]
    rows.clear()
    wrapped.train()(torch.randn(4, 7))
    assert rows == [24]


def test_inference_mode_and_autocast(wrapped: ReferenceBatch) -> None:
    latents = torch.randn(4, 7)
    with torch.inference_mode():
        quiet = wrapped.eval()(latents)
    with torch.autocast("cpu", torch.bfloat16):
        rough = wrapped(latents)
    assert torch.equal(quiet, wrapped(latents))
    assert (rough - quiet).abs().max() < 0.1
    wrapped(latents).sum().backward()  # the cached statistics are no inference tensors


def test_half_precision_keeps_small_variances_beside_large_means() -> None:
    layer = VirtualBatchNorm(1)
    layer.begin_reference(64)
    values = (100 + torch.randn(72, 1, 8, 8)).half()  # E[v^2] - E[v]^2 would be all rounding here
    output = layer(values)
    assert output.dtype == torch.float16
    assert output.float().std().item() == pytest.approx(1, abs=0.05)
    half = ReferenceBatch(nn.Sequential(nn.Linear(3, 4), VirtualBatchNorm(4)), torch.randn(8, 3)).half().eval()
    assert half(torch.randn(2, 3).half()).dtype == torch.float16
    assert half.network[1].reference_mean.dtype == torch.float32


def test_constant_channels_stay_finite() -> None:
    layer = VirtualBatchNorm(2, eps=0.0 + 1e-5)
    layer.begin_reference(4)
    assert layer(torch.full((6, 2), 3.3)).abs().max() < 1e-3


def test_conversion_keeps_scales_modes_and_shared_layers() -> None:
    shared = nn.BatchNorm1d(4, eps=1e-3)
    network = nn.ModuleDict({"a": nn.Sequential(shared), "b": shared, "c": nn.BatchNorm2d(3, affine=False).eval()})
    network.double()
    nn.init.normal_(shared.weight).requires_grad_(False)
    converted = convert_virtual_batch_norm(network)
    assert converted is network
    assert network["a"][0] is network["b"]
    assert network["b"].weight is shared.weight
    assert network["b"].eps == 1e-3
    assert network["c"].weight is None
    assert not network["c"].training
    assert isinstance(convert_virtual_batch_norm(nn.BatchNorm1d(3)), VirtualBatchNorm)
    twice = convert_virtual_batch_norm(nn.Sequential(shared, nn.ReLU(), shared))
    assert isinstance(twice[0], VirtualBatchNorm)
    assert twice[0] is twice[2]


def test_the_reference_is_saved_with_the_network(wrapped: ReferenceBatch) -> None:
    again = ReferenceBatch(generator(), torch.zeros(20, 7))
    again.load_state_dict(wrapped.state_dict())
    assert torch.equal(again.eval()(torch.ones(1, 7)), wrapped.eval()(torch.ones(1, 7)))
    assert sorted(wrapped.state_dict())[-1] == "reference"
    assert not any("reference_" in name for name in wrapped.state_dict())


def test_bad_use(wrapped: ReferenceBatch) -> None:
    with pytest.raises(RuntimeError, match="put the network into ReferenceBatch"):
        wrapped.network(torch.randn(3, 7))
    with pytest.raises(ValueError, match="apply convert_virtual_batch_norm"):
        ReferenceBatch(nn.Linear(2, 2), torch.zeros(4, 2))
    with pytest.raises(ValueError, match=r"n >= 2 examples; got \(1, 7\)"):
        ReferenceBatch(generator(), torch.zeros(1, 7))
    with pytest.raises(ValueError, match="rows_at_once must be at least 2"):
        ReferenceBatch(generator(), torch.zeros(4, 7), rows_at_once=1)
    with pytest.raises(ValueError, match=r"\(N, 7,\) of torch.float32; got \(3, 8\)"):
        wrapped(torch.zeros(3, 8))
    with pytest.raises(ValueError, match=r"got \(3, 7\) of torch.float64"):
        wrapped(torch.zeros(3, 7, dtype=torch.float64))
    with pytest.raises(ValueError, match="at least 1"):
        VirtualBatchNorm(0)
    layer = VirtualBatchNorm(4)
    with pytest.raises(ValueError, match=r"with C = 4; got \(2, 3\)"):
        layer(torch.zeros(2, 3))
    layer.begin_reference(5)
    with pytest.raises(ValueError, match=r"first 5 rows.*got \(2, 4\)"):
        layer(torch.zeros(2, 4))
    norm = VirtualBatchNorm(4)
    with pytest.raises(RuntimeError, match="ran twice"):
        ReferenceBatch(nn.Sequential(norm, norm), torch.randn(4, 4)).eval()(torch.zeros(2, 4))
    assert norm.reference_rows is None


class Block(nn.Module):
    def __init__(self, norm: nn.Module) -> None:
        super().__init__()
        self.norm = norm


@pytest.mark.parametrize(
    ("norm", "message"),
    [
        (nn.SyncBatchNorm(3), r"got SyncBatchNorm\. Convert before SyncBatchNorm\.convert_sync_batchnorm"),
        (nn.LazyBatchNorm2d(), r"got LazyBatchNorm2d\. Run the network on a batch first"),
        (
            nn.InstanceNorm2d(3),
            r"ModuleList has no batch norm to convert \(it has InstanceNorm2d\): add VirtualBatchNorm",
        ),
        (nn.ReLU(), "ModuleList has no batch norm to convert: add VirtualBatchNorm"),
    ],
)
def test_what_cannot_be_converted_is_refused_with_a_remedy(norm: nn.Module, message: str) -> None:
    network = nn.ModuleList([Block(norm)])
    if isinstance(norm, nn.SyncBatchNorm):
        network.append(nn.BatchNorm1d(3))
    with pytest.raises(ValueError, match=message):
        convert_virtual_batch_norm(network)
    assert network[0].norm is norm
    assert all(not isinstance(layer, VirtualBatchNorm) for layer in network.modules())  # nothing is converted partly


def test_subclasses_are_converted_and_a_second_conversion_changes_nothing() -> None:
    class Own(nn.BatchNorm1d):
        pass

    network = convert_virtual_batch_norm(nn.Sequential(Own(3)))
    assert type(network[0]) is VirtualBatchNorm
    layer = network[0]
    assert convert_virtual_batch_norm(network)[0] is layer


@pytest.mark.parametrize(("shape", "form"), [((3, 4, 5), torch.channels_last), ((2, 3, 4, 5), torch.channels_last_3d)])
def test_channels_last_is_kept(shape: tuple[int, ...], form: torch.memory_format) -> None:
    values, results = torch.randn(6, *shape, dtype=torch.float64), []
    for one in (values, values.contiguous(memory_format=form)):
        one = one.clone().requires_grad_()
        layer = VirtualBatchNorm(3 if len(shape) == 3 else 2).double()
        layer.begin_reference(4)
        output = layer(one)
        assert output.is_contiguous(memory_format=form) == one.is_contiguous(memory_format=form)
        results.append((output, *torch.autograd.grad(output[4:].sin().sum(), one)))
    torch.testing.assert_close(*results)


def test_three_dimensional_batch_norm_is_converted() -> None:
    network = convert_virtual_batch_norm(nn.Sequential(nn.Conv3d(1, 2, 3), nn.BatchNorm3d(2)))
    wrapped = ReferenceBatch(network, torch.randn(3, 1, 3, 4, 5)).eval()
    assert wrapped(torch.randn(2, 1, 3, 4, 5)).shape == (2, 2, 1, 2, 3)


def test_mixed_statistics_are_those_of_all_examples_together() -> None:
    reference, own = np.random.default_rng(0).normal(2, 3, (6, 4)), np.random.default_rng(1).normal(0, 1, (1, 4))
    together = np.concatenate([reference, own]).reshape(7, 1, 4)  # one channel
    moments = [torch.tensor([part.mean()]) for part in (reference, own)]
    variances = [torch.tensor([part.var()]) for part in (reference, own)]
    mean, variance = _mixed_statistics(moments[0], variances[0], 6, moments[1][None], variances[1][None])
    assert mean.item() == pytest.approx(together.mean(), rel=1e-12)
    assert variance.item() == pytest.approx(together.var(), rel=1e-12)


class Compared(nn.Module):
    """A discriminator with minibatch discrimination."""

    def __init__(self, variant: str) -> None:
        super().__init__()
        compare = MinibatchDiscrimination(4, 3, 2, variant=variant)
        self.layers = nn.Sequential(nn.Conv2d(1, 4, 3), MinibatchStandardDeviation(), nn.Conv2d(5, 4, 1), compare)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return self.layers(images).flatten(1)


@pytest.mark.filterwarnings("ignore")  # of the exporter's own
@pytest.mark.parametrize("name", ["virtual batch norm", "paper", "released"])
def test_plain_onnx_export(name: str, tmp_path: Path) -> None:
    """`torch.onnx.export` without our own exporter; onnxruntime gives the same numbers."""
    runtime = pytest.importorskip("onnxruntime")
    pytest.importorskip("onnxscript")
    virtual = name == "virtual batch norm"
    network = (ReferenceBatch(generator(), torch.randn(5, 7)) if virtual else Compared(name)).eval()
    inputs = torch.randn(4, 7) if virtual else torch.randn(4, 1, 5, 5)
    torch.onnx.export(network, (inputs,), tmp_path / "x.onnx", dynamo=True, verbose=False)
    session = runtime.InferenceSession(tmp_path / "x.onnx")
    (found,) = session.run(None, {session.get_inputs()[0].name: inputs.numpy()})
    with torch.no_grad():
        np.testing.assert_allclose(found, network(inputs), rtol=1e-4, atol=1e-5)


def test_a_compiled_generator_in_eval_mode_sees_new_weights(wrapped: ReferenceBatch) -> None:
    torch._dynamo.reset()
    latents = torch.randn(4, 7)
    compiled = torch.compile(wrapped.eval(), fullgraph=True, backend="aot_eager", dynamic=False)
    for _ in range(2):
        torch.testing.assert_close(compiled(latents), wrapped(latents), rtol=1e-4, atol=1e-5)
        change_a_weight(wrapped)
