"""Without what only POSIX has: every module is imported, the command line trains and resumes, the quick tests pass."""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]

IN_ONE_PROCESS = """
import importlib, pkgutil, sys
from tests.without_posix import take_away
take_away()
import improved_gan
for module in pkgutil.walk_packages(improved_gan.__path__, "improved_gan."):
    if not module.name.endswith(("__main__", ".env")) and ".versions." not in module.name:
        importlib.import_module(module.name)
assert "fcntl" not in sys.modules
from improved_gan.cli import main
folder = sys.argv[1]
for start in range(2):
    words = "train digits --epochs 1 --threads 1 --device cpu --out"
    sys.argv = ["improved-gan", *words.split(), f"{folder}/run"]
    try:
        main()
    except SystemExit as end:
        assert not end.code, end.code
import pytest
names = ["runs/test_run.py", "active_learning/test_predictions.py", "data/test_dataset_paths.py"]
already = "ignore::pytest.PytestAssertRewriteWarning"  # of plugins that our modules have imported
words = ["-q", "-x", "-p", "no:cacheprovider", "-W", already, "--basetemp", f"{folder}/tests"]
sys.exit(pytest.main([*words, *(f"tests/{name}" for name in names)]))
"""


def test_every_module_is_imported_the_command_line_trains_and_resumes_and_quick_tests_pass(tmp_path: Path) -> None:
    command = [sys.executable, "-c", IN_ONE_PROCESS, str(tmp_path)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    assert len((tmp_path / "run" / "log.jsonl").read_text().splitlines()) == 1
    assert " passed" in done.stdout
