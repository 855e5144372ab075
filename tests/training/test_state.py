import errno
import os
from pathlib import Path

import pytest
import torch

from improved_gan.data import Batches, LabelSplit, load_digits
from improved_gan.networks import ConvolutionalDiscriminator, ConvolutionalGenerator, DenseDiscriminator, DenseGenerator
from improved_gan.techniques import WeightEMA
from improved_gan.training import Optimizers, SemiSupervised, train_step
from improved_gan.training.errors import RunError
from improved_gan.training.historical_averaging import ParameterAverages, after_each_step
from improved_gan.training.state import TrainingState, load_newest, save_checkpoint, with_prefix


def fresh(hidden: int = 20) -> TrainingState:
    generator = DenseGenerator((1, 8, 8), latent_size=5, hidden=(hidden,))
    discriminator = DenseDiscriminator((1, 8, 8), 10, hidden=(hidden,))
    adams = [
        torch.optim.Adam([p for p in network.parameters() if p.requires_grad], lr=1e-3, fused=True)
        for network in (discriminator, generator)
    ]
    return TrainingState(generator, discriminator, Optimizers(*adams), WeightEMA(discriminator))


def advance(state: TrainingState, steps: int) -> None:
    digits = load_digits()
    batches = Batches(digits.train, LabelSplit.draw(digits.train.labels, 50, seed=0), batch_size=50, seed=0)
    iterator = batches.epoch(0, first_step=state.step)
    for _ in range(steps):
        state.add(train_step(state.generator, state.discriminator, SemiSupervised(), next(iterator), state.optimizers))
        state.average.update()


def same(a: dict[str, torch.Tensor], b: dict[str, torch.Tensor]) -> bool:
    return a.keys() == b.keys() and all(torch.equal(a[name], b[name]) for name in a)


def test_a_loaded_state_continues_bit_for_bit() -> None:
    whole = fresh()
    advance(whole, 4)
    saved = {name: value.clone() for name, value in whole.tensors().items()}
    advance(whole, 5)
    torch.manual_seed(99)
    resumed = fresh()
    resumed.load(saved)
    assert same(resumed.tensors(), saved)
    advance(resumed, 5)
    assert same(resumed.tensors(), whole.tensors())


def test_means_are_of_the_steps_since_the_last_report() -> None:
    state = fresh()
    for value in (1.0, 2.0, 6.0):
        state.add({"loss": torch.tensor(value)})
    assert state.pop_means() == {"loss": 3.0}
    state.add({"loss": torch.tensor(10.0)})
    assert state.pop_means() == {"loss": 10.0}
    assert state.step == 4


def test_a_term_that_is_not_finite_is_detected_even_when_the_next_is() -> None:
    state = fresh()
    assert state.not_finite() == []
    state.add({"loss": torch.tensor(float("nan"))})
    state.add({"loss": torch.tensor(1.0)})
    assert state.not_finite() == ["loss"]


def test_a_weight_that_is_not_finite_is_detected_before_a_loss_is() -> None:
    state = fresh()
    with torch.no_grad():
        state.generator.output.bias[0] = float("inf")
    assert state.not_finite() == ["a weight of the generator"]


def test_another_network_is_refused() -> None:
    state = fresh()
    advance(state, 1)
    with pytest.raises(RuntimeError, match="size mismatch"):
        fresh(hidden=21).load(state.tensors())


def test_with_prefix_selects_names_and_strips_the_prefix() -> None:
    one = torch.ones(())
    assert with_prefix({"a.b": one, "ab.c": one, "a.b.c": one}, "a") == {"b": one, "b.c": one}


def test_generator_ema_and_parameter_averages_are_saved_and_resumed() -> None:
    def with_memory() -> TrainingState:
        state = fresh()
        state.generator_ema = WeightEMA(state.generator, 0.5)
        after_each_step(state.optimizers.generator, state.generator_ema.update)
        state.parameter_averages = ParameterAverages(state.optimizers)
        return state

    whole = with_memory()
    advance(whole, 3)
    saved = {name: value.clone() for name, value in whole.tensors().items()}
    assert int(saved["generator_ema.num_updates"]) == 3
    assert int(saved["parameter_averages.generator.num_updates"]) == 3
    advance(whole, 2)
    torch.manual_seed(99)
    resumed = with_memory()
    resumed.load(saved)
    advance(resumed, 2)
    assert same(resumed.tensors(), whole.tensors())


def test_samples_use_averaged_weights_if_there_are_any() -> None:
    state = fresh()
    assert state.sampling_generator() is state.generator
    state.generator_ema = WeightEMA(state.generator, 0.5)
    after_each_step(state.optimizers.generator, state.generator_ema.update)
    advance(state, 3)
    random = torch.get_rng_state()
    sampling = state.sampling_generator()
    assert torch.equal(random, torch.get_rng_state())
    expected = state.generator_ema.averaged(state.generator)
    assert torch.equal(sampling.output.bias, expected.output.bias)
    assert not torch.equal(sampling.output.bias, state.generator.output.bias)
    assert sampling.training == state.generator.training
    # Its batch norm statistics are its own: those of a large batch through the averaged weights.
    block = sampling.hidden[0]
    values = sampling.draw_latents(20_000) @ block.weight.T
    torch.testing.assert_close(block.running_mean, values.mean(0), atol=0.02, rtol=0)
    torch.testing.assert_close(block.running_var, values.var(0), atol=0.0, rtol=0.3)


def test_channels_last_convolutions_resume_bit_for_bit() -> None:
    """Fused Adam reads weights and moments in memory order; a checkpoint has them in contiguous order."""

    def isomap_embedding() -> TrainingState:
        networks = [
            ConvolutionalGenerator((1, 8, 8), latent_size=5, widths=(6,)),
            ConvolutionalDiscriminator((1, 8, 8), 10, widths=(6,)),
        ]
        for network in networks:
            network.to(memory_format=torch.channels_last)
        adams = [
            torch.optim.Adam([p for p in network.parameters() if p.requires_grad], lr=1e-3, fused=True)
            for network in networks[::-1]
        ]
        return TrainingState(*networks, Optimizers(*adams), WeightEMA(networks[1]))

    whole = isomap_embedding()
    assert any(not value.is_contiguous() for value in whole.discriminator.parameters())
    advance(whole, 2)
    saved = {name: value.clone() for name, value in whole.tensors().items()}
    advance(whole, 2)
    torch.manual_seed(99)
    resumed = isomap_embedding()
    resumed.load(saved)
    assert same(resumed.tensors(), saved)
    advance(resumed, 2)
    assert same(resumed.tensors(), whole.tensors())


TENSORS = {"weight": torch.randn(30, 4), "count": torch.tensor(7), "half": torch.ones(3, dtype=torch.bfloat16)}


def save(folder: Path, step: int) -> Path:
    return save_checkpoint(folder, step, {**TENSORS, "step": torch.tensor(step)}, fingerprint="settings")


def newest(folder: Path) -> tuple[int | None, list[str]]:
    warnings: list[str] = []
    tensors = load_newest(folder, fingerprint="settings", warn=warnings.append)
    return (None if tensors is None else int(tensors["step"])), warnings


def test_round_trip_and_only_the_newest_two_are_kept(tmp_path: Path) -> None:
    for step in (1, 2, 3):
        save(tmp_path, step)
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "step-00000002.safetensors",
        "step-00000003.safetensors",
    ]
    tensors = load_newest(tmp_path, fingerprint="settings", warn=pytest.fail)
    assert tensors is not None
    for name, value in TENSORS.items():
        assert torch.equal(tensors[name].float(), value.float())
        assert tensors[name].dtype == value.dtype


@pytest.mark.parametrize("damage", ["cut", "empty", "flipped bit", "text"])
def test_a_damaged_checkpoint_falls_back_to_the_one_before(tmp_path: Path, damage: str) -> None:
    save(tmp_path, 1)
    path = save(tmp_path, 2)
    content = bytearray(path.read_bytes())
    content[-100] ^= 1
    damaged = {"cut": bytes(content[:-50]), "empty": b"", "flipped bit": bytes(content), "text": b"no checkpoint"}
    path.write_bytes(damaged[damage])
    step, warnings = newest(tmp_path)
    assert step == 1
    assert len(warnings) == 1
    assert warnings[0].startswith("step-00000002.safetensors is damaged")


def test_after_a_fallback_the_good_checkpoints_stay_and_the_damaged_one_goes(tmp_path: Path) -> None:
    save(tmp_path, 50)
    save(tmp_path, 100).write_bytes(b"")
    save(tmp_path, 60)
    assert sorted(path.name for path in tmp_path.iterdir()) == [f"step-000000{n}.safetensors" for n in (50, 60)]


def test_damage_to_the_fingerprint_is_damage_and_not_another_run(tmp_path: Path) -> None:
    save(tmp_path, 1)
    path = save(tmp_path, 2)
    path.write_bytes(path.read_bytes().replace(b"settings", b"settinfs"))
    assert newest(tmp_path)[0] == 1


def test_no_checkpoint_and_only_damaged_ones(tmp_path: Path) -> None:
    assert newest(tmp_path) == (None, [])
    save(tmp_path, 1).write_bytes(b"")
    with pytest.raises(RunError, match=r"every checkpoint in .* is damaged"):
        newest(tmp_path)


def test_a_checkpoint_that_cannot_be_opened_is_not_called_damaged(tmp_path: Path, monkeypatch) -> None:
    newer = [save(tmp_path, 1), save(tmp_path, 2)][1]
    opened = Path.open

    def forbidden(path: Path, *words):  # what a file of another user does; root may open all files
        if path == newer:
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(path))
        return opened(path, *words)

    monkeypatch.setattr(Path, "open", forbidden)
    with pytest.raises(RunError, match=r"step-00000002\.safetensors cannot be read: Permission denied"):
        newest(tmp_path)


def test_other_settings_are_refused(tmp_path: Path) -> None:
    save(tmp_path, 1)
    with pytest.raises(RunError, match="made with other settings"):
        load_newest(tmp_path, fingerprint="others", warn=pytest.fail)


def test_a_full_disk_keeps_the_last_good_checkpoint(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    save(tmp_path, 1)

    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(RunError, match=r"step 2 \(No space left on device\); the last good one, step-00000001"):
        save(tmp_path, 2)
    monkeypatch.undo()
    assert newest(tmp_path) == (1, [])
    assert len(list(tmp_path.iterdir())) == 1
