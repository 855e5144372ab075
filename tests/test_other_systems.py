"""Without what only POSIX has: every module is imported, the command line trains and resumes, the quick tests pass."""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]

IMPORT_AND_TRAIN = """
import importlib, pkgutil, sys
from tests.without_posix import take_away
take_away()
import improved_gan
for module in pkgutil.walk_packages(improved_gan.__path__, "improved_gan."):
    if not module.name.endswith(("__main__", ".env")) and ".versions." not in module.name:
        importlib.import_module(module.name)
assert "fcntl" not in sys.modules
from improved_gan.cli import main
words = "train digits --epochs 1 --threads 1 --device cpu --out"
sys.argv = ["improved-gan", *words.split(), sys.argv[1]]
for start in range(2):
    try:
        main()
    except SystemExit as end:
        assert not end.code, end.code
"""

RUN_TESTS = """
import sys
from tests.without_posix import take_away
take_away()
import pytest
names = ["runs/test_run.py", "active_learning/test_predictions.py", "data/test_dataset_paths.py"]
sys.exit(pytest.main(["-q", "-x", "-p", "no:cacheprovider", "--basetemp", sys.argv[1], *(f"tests/{n}" for n in names)]))
"""


def run(program: str, *arguments: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", program, *arguments], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    return done.stdout


def test_every_module_is_imported_and_the_command_line_trains_and_resumes(tmp_path: Path) -> None:
    run(IMPORT_AND_TRAIN, str(tmp_path / "run"))
    assert len((tmp_path / "run" / "log.jsonl").read_text().splitlines()) == 1


def test_the_quick_tests_of_files_and_locks_pass(tmp_path: Path) -> None:
    assert " passed" in run(RUN_TESTS, str(tmp_path / "tests"))
