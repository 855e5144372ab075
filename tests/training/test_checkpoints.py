import errno
import os
from pathlib import Path

import pytest
import torch

from improved_gan.training.checkpoints import load_newest, save_checkpoint
from improved_gan.training.errors import RunError

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
