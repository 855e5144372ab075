import json
import subprocess
import sys
from pathlib import Path

import pytest

from improved_gan.runs import Run
from improved_gan.training.errors import RunError
from tests.runs.made import settings_of

SETTINGS = settings_of(rates=(0.5, 0.999))


def begin(path: Path, **changes: object) -> Run:
    folder = Run(path)
    folder.begin({**SETTINGS, **changes}, resumable_fields=("epochs",))
    return folder


def test_the_same_settings_match_their_folder(tmp_path: Path) -> None:
    first = begin(tmp_path / "run").recipe_file.read_text()
    again = begin(tmp_path / "run")
    assert again.recipe_file.read_text() == first
    assert again.settings["rates"] == [0.5, 0.999]


def test_a_run_may_be_made_longer_but_not_shorter(tmp_path: Path) -> None:
    fingerprint = begin(tmp_path).fingerprint
    longer = begin(tmp_path, epochs=20)
    assert longer.epochs == 20
    assert longer.fingerprint == fingerprint
    with pytest.raises(RunError, match="started with epochs 20: give at least that"):
        begin(tmp_path, epochs=15)


@pytest.mark.parametrize("now", [{"learning_rate": 1, "decay": None}, {"learning_rate": 1.0}])
def test_the_same_settings_written_in_another_way_keep_the_fingerprint_of_the_checkpoints(tmp_path, now) -> None:
    values = {name: value for name, value in SETTINGS["values"].items() if name != "learning_rate"}
    fingerprint = begin(tmp_path, values={**values, "learning_rate": 1.0}).fingerprint
    again = begin(tmp_path, values={**values, **now}, epochs=20)
    assert (again.fingerprint, again.epochs) == (fingerprint, 20)
    assert Run(tmp_path).fingerprint == fingerprint


def test_another_run_is_refused_and_left_alone(tmp_path: Path) -> None:
    before = begin(tmp_path).recipe_file.read_text()
    with pytest.raises(RunError, match=r"holds another run \(seed: 1 there\): give its settings, or another --out"):
        begin(tmp_path, seed=2)
    assert (tmp_path / "recipe.json").read_text() == before


def test_a_recipe_with_new_descriptions_is_the_same_run(tmp_path: Path) -> None:
    first = begin(tmp_path, description={"summary": "digits", "paper": "4%"}).fingerprint
    again = begin(tmp_path, description={"summary": "small digits", "paper": "none"})
    assert again.fingerprint == first
    assert again.settings["description"]["paper"] == "none"
    with pytest.raises(RunError, match=r"holds another run \(learning_rate: 0.003 there\)"):
        begin(tmp_path, values={**SETTINGS["values"], "learning_rate": 0.2})


def test_a_folder_of_another_schema_is_refused(tmp_path: Path) -> None:
    run = begin(tmp_path)
    run.recipe_file.write_text(run.recipe_file.read_text().replace('"schema": 2', '"schema": 0'))
    with pytest.raises(RunError, match="has schema 0, this version reads 2"):
        begin(tmp_path)


def test_a_folder_with_other_files_is_refused(tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("precious")
    with pytest.raises(RunError, match="not empty and holds no run"):
        begin(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.txt"]


@pytest.mark.parametrize("content", ["", "{", "[]", '{"settings": {}}'])
def test_an_unreadable_recipe_is_an_error(tmp_path: Path, content: str) -> None:
    begin(tmp_path)
    (tmp_path / "recipe.json").write_text(content)
    with pytest.raises(RunError, match=r"not a run folder: recipe\.json cannot be read"):
        Run(tmp_path).settings  # noqa: B018


def test_an_edited_recipe_is_detected(tmp_path: Path) -> None:
    folder = begin(tmp_path)
    content = json.loads(folder.recipe_file.read_text())
    content["settings"]["seed"] = 5
    folder.recipe_file.write_text(json.dumps(content))
    with pytest.raises(RunError, match="was changed after the run began"):
        Run(tmp_path).settings  # noqa: B018


def test_only_one_process_trains_in_a_folder(tmp_path: Path) -> None:
    with (
        Run(tmp_path).locked(),
        pytest.raises(RunError, match="another process is training"),
        Run(tmp_path).locked(),
    ):
        pass
    with Run(tmp_path).locked():
        begin(tmp_path)


def test_the_log_rewinds_to_a_step_and_survives_a_torn_line(tmp_path: Path) -> None:
    folder = begin(tmp_path)
    assert folder.log.lines == ()
    for step in (10, 20, 30):
        folder.append_report({"epoch": step // 10, "step": step})
    with folder.log_file.open("ab") as file:
        file.write(b'\xff\xfe\x00\nnull\n{"step": 4')  # damaged and truncated
    assert [line["step"] for line in folder.log.lines] == [10, 20, 30]
    folder.rewind_log(20)
    assert [line["step"] for line in folder.log.lines] == [10, 20]


def test_the_precision_of_a_run(tmp_path: Path) -> None:
    assert Run(tmp_path / "run").precision is None
    assert begin(tmp_path / "run", values={**SETTINGS["values"], "precision": "bfloat16"}).precision == "bfloat16"


def test_a_lock_is_detected_and_not_changed(tmp_path: Path) -> None:
    assert not Run(tmp_path / "nowhere").is_locked()
    with Run(tmp_path).locked():
        assert Run(tmp_path).is_locked()
    assert not Run(tmp_path).is_locked()
    with Run(tmp_path).locked():
        pass


def test_a_lock_is_detected_where_flock_is_made_of_record_locks(tmp_path: Path, monkeypatch) -> None:
    """As over NFS: a shared lock then needs a file that is open for reading."""
    fcntl = pytest.importorskip("fcntl")
    monkeypatch.setattr(fcntl, "flock", fcntl.lockf)
    lock = tmp_path / ".lock"
    lock.touch()
    assert not Run(tmp_path).is_locked()
    words = "import fcntl, sys; file = open(sys.argv[1], 'a'); fcntl.lockf(file, fcntl.LOCK_EX); print(1, flush=True)"
    other = subprocess.Popen(
        [sys.executable, "-c", f"{words}; sys.stdin.read()", str(lock)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    assert other.stdout is not None
    other.stdout.readline()
    assert Run(tmp_path).is_locked()
    other.communicate()
    assert not Run(tmp_path).is_locked()
