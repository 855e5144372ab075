import json
import subprocess
import sys
from pathlib import Path

import pytest

from improved_gan.training.errors import RunError
from improved_gan.training.run_folder import RunFolder

SETTINGS = {"seed": 1, "epochs": 10, "rates": (0.5, 0.999)}


def create_or_match(path: Path, **changes: object) -> RunFolder:
    folder = RunFolder(path)
    folder.create_or_match({**SETTINGS, **changes}, resumable_fields=("epochs",))
    return folder


def test_the_same_settings_match_their_folder(tmp_path: Path) -> None:
    first = create_or_match(tmp_path / "run").recipe()
    assert create_or_match(tmp_path / "run").recipe() == first
    assert first["settings"]["rates"] == [0.5, 0.999]


def test_a_run_may_be_made_longer_but_not_shorter(tmp_path: Path) -> None:
    fingerprint = create_or_match(tmp_path).recipe()["fingerprint"]
    longer = create_or_match(tmp_path, epochs=20).recipe()
    assert longer["settings"]["epochs"] == 20
    assert longer["fingerprint"] == fingerprint
    with pytest.raises(RunError, match="started with epochs 20: give at least that"):
        create_or_match(tmp_path, epochs=15)


def test_another_run_is_refused_and_left_alone(tmp_path: Path) -> None:
    before = create_or_match(tmp_path).recipe_file.read_text()
    with pytest.raises(RunError, match=r"holds another run \(seed: 1 there\): give its settings, or another --out"):
        create_or_match(tmp_path, seed=2)
    assert (tmp_path / "recipe.json").read_text() == before


def test_a_recipe_with_new_descriptions_is_the_same_run(tmp_path: Path) -> None:
    first = create_or_match(tmp_path, values={"summary": "digits", "paper": "4%", "rate": 0.1}).recipe()
    assert create_or_match(tmp_path, values={"summary": "small digits", "paper": "none", "rate": 0.1}).recipe() == first
    with pytest.raises(RunError, match=r"holds another run \(rate: 0.1 there\)"):
        create_or_match(tmp_path, values={"summary": "digits", "paper": "4%", "rate": 0.2})


def test_a_folder_with_other_files_is_refused(tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("precious")
    with pytest.raises(RunError, match="not empty and holds no run"):
        create_or_match(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.txt"]


@pytest.mark.parametrize("content", ["", "{", "[]", '{"settings": {}}'])
def test_an_unreadable_recipe_is_an_error(tmp_path: Path, content: str) -> None:
    create_or_match(tmp_path)
    (tmp_path / "recipe.json").write_text(content)
    with pytest.raises(RunError, match=r"no run folder: recipe\.json cannot be read"):
        RunFolder(tmp_path).recipe()


def test_an_edited_recipe_is_detected(tmp_path: Path) -> None:
    folder = create_or_match(tmp_path)
    content = json.loads(folder.recipe_file.read_text())
    content["settings"]["seed"] = 5
    folder.recipe_file.write_text(json.dumps(content))
    with pytest.raises(RunError, match="was changed after the run began"):
        folder.recipe()


def test_only_one_process_trains_in_a_folder(tmp_path: Path) -> None:
    with (
        RunFolder(tmp_path).locked(),
        pytest.raises(RunError, match="another process is training"),
        RunFolder(tmp_path).locked(),
    ):
        pass
    with RunFolder(tmp_path).locked():
        create_or_match(tmp_path)


def test_the_log_rewinds_to_a_step_and_survives_a_torn_line(tmp_path: Path) -> None:
    folder = create_or_match(tmp_path)
    assert folder.read_log() == []
    for step in (10, 20, 30):
        folder.append_log({"epoch": step // 10, "step": step})
    with folder.log_file.open("ab") as file:
        file.write(b'\xff\xfe\x00\nnull\n{"step": 4')  # damaged and truncated
    assert [line["step"] for line in folder.read_log()] == [10, 20, 30]
    folder.rewind_log(20)
    assert [line["step"] for line in folder.read_log()] == [10, 20]


def test_the_precision_of_a_run(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path / "run")
    assert folder.precision() is None
    folder.create_or_match({"recipe": "digits", "values": {"precision": "bfloat16"}})
    assert folder.precision() == "bfloat16"
    RunFolder(tmp_path / "older").create_or_match({"recipe": "digits"})
    assert RunFolder(tmp_path / "older").precision() is None


def test_a_lock_is_detected_and_not_changed(tmp_path: Path) -> None:
    assert not RunFolder(tmp_path / "nowhere").is_locked()
    with RunFolder(tmp_path).locked():
        assert RunFolder(tmp_path).is_locked()
    assert not RunFolder(tmp_path).is_locked()
    with RunFolder(tmp_path).locked():
        pass


def test_a_lock_is_detected_where_flock_is_made_of_record_locks(tmp_path: Path, monkeypatch) -> None:
    """As over NFS: a shared lock then needs a file that is open for reading."""
    fcntl = pytest.importorskip("fcntl")
    monkeypatch.setattr(fcntl, "flock", fcntl.lockf)
    lock = tmp_path / ".lock"
    lock.touch()
    assert not RunFolder(tmp_path).is_locked()
    words = "import fcntl, sys; file = open(sys.argv[1], 'a'); fcntl.lockf(file, fcntl.LOCK_EX); print(1, flush=True)"
    other = subprocess.Popen(
        [sys.executable, "-c", f"{words}; sys.stdin.read()", str(lock)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    assert other.stdout is not None
    other.stdout.readline()
    assert RunFolder(tmp_path).is_locked()
    other.communicate()
    assert not RunFolder(tmp_path).is_locked()
