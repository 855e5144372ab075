import copy
import io

import numpy as np
import pytest
import torch
from torch import nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from improved_gan.techniques import WeightEMA, warm_up_decay


def averaged_by_formula(decay: float, variant: str, steps: int, every: int = 1) -> tuple[np.ndarray, np.ndarray]:
    """Our average after some random steps, and the weighted sum of the formula in float64."""
    network = nn.Linear(3, 2).double()
    average = WeightEMA(network, decay, variant=variant, every=every)
    history = []
    for _ in range(steps):
        with torch.no_grad():
            network.weight.add_(torch.randn_like(network.weight))
        average.update()
        history.append(network.weight.detach().numpy().copy())
    history = history[every - 1 :: every]
    weights = (1 - decay**every) * decay ** (every * np.arange(len(history)))[::-1]
    total = 1.0 if variant == "released" else weights.sum()
    expected = np.tensordot(weights / total, np.stack(history), 1)
    return average.averaged(network).weight.detach().numpy(), expected


@pytest.mark.parametrize("variant", ["corrected", "released"])
@pytest.mark.parametrize(("decay", "steps"), [(0.0, 3), (0.9, 1), (0.9, 25), (0.9999, 10)])
def test_agrees_with_the_weighted_sum(variant: str, decay: float, steps: int) -> None:
    ours, expected = averaged_by_formula(decay, variant, steps)
    np.testing.assert_allclose(ours, expected, rtol=1e-10)


@pytest.mark.parametrize("variant", ["corrected", "released"])
@pytest.mark.parametrize(("every", "steps"), [(3, 3), (3, 20), (10, 25)])
def test_every_few_steps(variant: str, every: int, steps: int) -> None:
    ours, expected = averaged_by_formula(0.9, variant, steps, every)
    np.testing.assert_allclose(ours, expected, rtol=1e-10)


def test_the_released_zero_start_leaves_61_percent_of_the_zero_after_5000_steps() -> None:
    network = nn.Linear(1, 1, bias=False)
    average = WeightEMA(network, 0.9999, variant="released")
    for _ in range(5000):
        average.update()
    assert (average.averaged(network).weight / network.weight).item() == pytest.approx(1 - 0.607, abs=2e-3)


def test_frozen_parameters_and_buffers_are_copied() -> None:
    network = nn.Sequential(nn.Linear(2, 2), nn.BatchNorm1d(2))
    network[0].bias.requires_grad_(False)
    average = WeightEMA(network, 0.5)
    average.update()
    with torch.no_grad():
        network[0].bias.fill_(7.0)
        network[1].running_mean.fill_(3.0)
    copied = average.averaged(network)
    assert copied[0].bias.eq(7).all()
    assert copied[1].running_mean.eq(3).all()
    assert copied is not network


def test_state_dict_round_trip_and_deepcopy() -> None:
    network = nn.Linear(3, 2)
    average = WeightEMA(network, 0.9)
    average.update()
    again = WeightEMA(network, 0.9)
    again.load_state_dict(average.state_dict())
    both = copy.deepcopy(nn.ModuleDict({"network": network, "average": average}))
    for one in (average, again, both["average"]):
        with torch.no_grad():
            followed = both["network"] if one is both["average"] else network
            followed.weight.fill_(1.0)
        one.update()
    assert torch.equal(again.averaged(network).weight, average.averaged(network).weight)
    assert torch.equal(both["average"].averaged(network).weight, average.averaged(network).weight)
    assert len(list(average.parameters())) == 0


def test_bad_use() -> None:
    network = nn.Linear(2, 2)
    with pytest.raises(ValueError, match="0 <= decay < 1, or a function of the update; got 1"):
        WeightEMA(network, 1.0)
    with pytest.raises(ValueError, match="every must be at least 1; got 0"):
        WeightEMA(network, every=0)
    with pytest.raises(RuntimeError, match="at least 3 times; so far 0"):
        WeightEMA(network, every=3).averaged(network)
    with pytest.raises(ValueError, match="'corrected', 'released' or 'started'; got 'zero'"):
        WeightEMA(network, variant="zero")
    with pytest.raises(ValueError, match="nothing to average"):
        WeightEMA(nn.ReLU())
    average = WeightEMA(network)
    with pytest.raises(RuntimeError, match="call update"):
        average.averaged(network)
    average.update()
    with pytest.raises(ValueError, match="lacks averaged parameters"):
        average.averaged(nn.Sequential(nn.Linear(2, 2)))


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32])
@pytest.mark.parametrize("moved", [True, False])
def test_half_precision_parameters_are_averaged_in_float32(dtype: torch.dtype, moved: bool) -> None:
    network = nn.Linear(4, 4)
    average = WeightEMA(network, 0.9999) if moved else None
    network.to(dtype)
    average = average.to(dtype) if average is not None else WeightEMA(network, 0.9999)
    nn.init.ones_(network.weight)
    for _ in range(2000):
        average.update()
    assert average.average_0.dtype == torch.float32
    averaged = average.averaged(network).weight
    assert averaged.dtype == dtype
    assert averaged.float().sub(1).abs().max() < 1e-3


def test_a_move_to_double_precision_is_taken_and_one_to_another_device() -> None:
    average = WeightEMA(nn.Linear(2, 2)).double()
    assert average.average_0.dtype == torch.float64
    assert average.half().average_0.dtype == torch.float64
    moved = average.to("meta")
    assert {buffer.device.type for buffer in moved.buffers()} == {"meta"}
    assert moved.num_updates.dtype == torch.int64


def test_swapped_arguments_are_refused_with_a_remedy() -> None:
    network = nn.Linear(2, 2)
    with pytest.raises(TypeError, match=r"WeightEMA\(network, 0\.9999\); got generator.*HistoricalAverage"):
        WeightEMA(network.parameters())  # type: ignore[arg-type]
    with pytest.raises(TypeError, match=r"takes the module, then decay.*got float"):
        WeightEMA(0.999, network)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="decay must be a number"):
        WeightEMA(network, network)  # type: ignore[arg-type]
    average = WeightEMA(network)
    average.update()
    with pytest.raises(TypeError, match=r"averaged takes a module.*got generator"):
        average.averaged(network.parameters())  # type: ignore[arg-type]


def moved_by_noise(network: nn.Module) -> None:
    with torch.no_grad():
        for tensor in (*network.parameters(), *network.buffers()):
            if tensor.is_floating_point():
                tensor.add_(torch.rand_like(tensor))


@pytest.mark.parametrize("use_buffers", [True, False])
def test_started_equals_the_averaged_model_of_torch(use_buffers: bool) -> None:
    network = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4))
    theirs = AveragedModel(network, multi_avg_fn=get_ema_multi_avg_fn(0.9), use_buffers=use_buffers)
    ours = WeightEMA(network, 0.9, variant="started", use_buffers=use_buffers)
    for _ in range(5):
        moved_by_noise(network)
        theirs.update_parameters(network)
        ours.update()
    averaged = ours.averaged(network)
    for name, parameter in theirs.module.named_parameters():
        assert torch.equal(dict(averaged.named_parameters())[name], parameter)
    buffers = theirs.module[1] if use_buffers else network[1]  # without: copied, theirs are those at the last update
    assert torch.equal(averaged[1].running_mean, buffers.running_mean)


@pytest.mark.parametrize("every", [1, 3])
@pytest.mark.parametrize("variant", ["corrected", "released", "started"])
def test_a_decay_that_grows_agrees_with_the_weighted_sum(variant: str, every: int) -> None:
    network, schedule, seen = nn.Linear(2, 1).double(), warm_up_decay(0.8), []
    average = WeightEMA(network, schedule, variant=variant, every=every)
    for step in range(1, 13):
        moved_by_noise(network)
        average.update()
        if step % every == 0:
            seen.append((min(0.8, (1 + step) / (10 + step)) ** every, network.weight.detach().numpy().copy()))
    weights = np.array([(1 - d) * np.prod([later for later, _ in seen[i + 1 :]]) for i, (d, _) in enumerate(seen)])
    if variant == "started":
        weights[0] /= 1 - seen[0][0]
    total = weights.sum() if variant == "corrected" else 1.0
    expected = sum(w * value for w, (_, value) in zip(weights / total, seen, strict=True))
    np.testing.assert_allclose(average.averaged(network).weight.detach(), expected, rtol=1e-12)
    again = WeightEMA(network, schedule, variant=variant, every=every).half().double()
    again.load_state_dict(average.state_dict())
    assert torch.equal(again.averaged(network).weight, average.averaged(network).weight)


def test_swapped_gives_the_average_and_then_the_own_weights_back() -> None:
    network = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4))
    optimizer = torch.optim.SGD(network.parameters(), 0.1)
    average = WeightEMA(network, 0.5, use_buffers=True)
    for _ in range(2):
        moved_by_noise(network)
        average.update()
    own, expected = copy.deepcopy(network.state_dict()), average.averaged(network).state_dict()
    with average.swapped(network) as inside:
        assert inside is network
        assert all(torch.equal(network.state_dict()[name], expected[name]) for name in expected)
    assert all(torch.equal(network.state_dict()[name], own[name]) for name in own)
    with pytest.raises(ZeroDivisionError), average.swapped(network):
        _ = 1 / 0
    assert all(torch.equal(network.state_dict()[name], own[name]) for name in own)
    network(torch.randn(5, 3)).sum().backward()
    for change in (optimizer.step, average.update):
        with pytest.raises(RuntimeError, match=r"train outside of swapped\(\)"), average.swapped(network):
            change()
    with pytest.raises(RuntimeError, match="call update"), WeightEMA(network).swapped(network):
        pass


@pytest.mark.parametrize("first", ["network", "average"])
def test_a_copy_of_both_follows_the_copy_and_one_alone_the_same_network(first: str) -> None:
    network = nn.Linear(1, 1, bias=False)
    average = WeightEMA(network, 0.5)
    both = {"network": network, "average": average}
    joint = copy.deepcopy(dict(sorted(both.items(), key=lambda item: item[0] != first)))
    alone = copy.deepcopy(copy.deepcopy(average))
    nn.init.constant_(network.weight, 2.0)
    nn.init.constant_(joint["network"].weight, 7.0)
    for one in (joint["average"], alone):
        one.update()
    assert joint["average"].averaged(network).weight.item() == 7
    assert alone.averaged(network).weight.item() == 2


def test_swapped_inside_autocast_takes_no_cast_of_other_weights() -> None:
    network, values = nn.Linear(3, 2), torch.randn(4, 3)
    average = WeightEMA(network, 0.5, variant="released")
    average.update()
    expected = [averaged_or_own(values) for averaged_or_own in (average.averaged(network), network)]
    with torch.autocast("cpu", torch.bfloat16):
        network(values)
        with average.swapped(network):
            inside = network(values)
        after = network(values)
    for found, exact in zip((inside, after), expected, strict=True):
        torch.testing.assert_close(found.float(), exact, rtol=0.05, atol=0.05)


def test_the_average_may_be_on_another_device_and_survives_pickle() -> None:
    network = nn.Linear(2, 2)
    average = WeightEMA(network.to("meta"), 0.5)
    assert average.to_empty(device="cpu").average_0.device.type == "cpu"
    network = nn.Linear(2, 2)
    average = WeightEMA(network, 0.5)
    file = io.BytesIO()
    torch.save({"network": network, "average": average}, file)
    file.seek(0)
    loaded = torch.load(file, weights_only=False)
    nn.init.constant_(loaded["network"].weight, 7.0)
    loaded["average"].update()
    assert loaded["average"].averaged(network).weight.eq(7).all()


def test_bad_decays() -> None:
    with pytest.raises(ValueError, match=r"got 1\.0 and 10"):
        warm_up_decay(1.0)
    with pytest.raises(ValueError, match=r"decay\(1\) must lie in 0 <= decay < 1; got 1.5"):
        WeightEMA(nn.Linear(1, 1), lambda step: 1.5).update()
