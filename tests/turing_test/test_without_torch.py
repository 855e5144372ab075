"""The visual Turing test where PyTorch is absent: its package, its command, its own distribution."""

import json
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[2]
BLOCKED = """
import sys
class Absent:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {absent}:
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)
sys.meta_path.insert(0, Absent())
for name in {absent}: sys.modules.pop(name, None)
import importlib.util
look = importlib.util.find_spec
from improved_gan.cli import command_line
command_line.find_spec = lambda name: None if name in {absent} else look(name)
import contextlib, io, json
ended = []
for words in json.loads(sys.argv[1]):
    sys.argv = ["improved-gan", *words]
    try:
        with contextlib.redirect_stderr(io.StringIO()) as errors, contextlib.redirect_stdout(io.StringIO()):
            command_line.main()
        ended.append((0, errors.getvalue()))
    except SystemExit as end:
        ended.append((end.code or 0, errors.getvalue()))
print(json.dumps(ended))
"""
ABSENT = ("torch", "torchvision", "sklearn", "tensorboard", "safetensors", "filelock", "distributed")


def run(*commands: tuple[object, ...]) -> list[tuple[int, str]]:
    """Exit codes and error lines of commands, one after another in a process without torch."""
    program, words = BLOCKED.format(absent=ABSENT), json.dumps([[str(word) for word in one] for one in commands])
    done = subprocess.run([sys.executable, "-c", program, words], capture_output=True, text=True, timeout=100)
    assert done.returncode == 0, done.stderr
    return [(code, errors) for code, errors in json.loads(done.stdout)]


def test_a_study_is_made_reported_and_exported_and_what_needs_torch_says_so(folders, tmp_path) -> None:
    study = ("--db", tmp_path / "s.db")
    *done, needs_torch, no_database = run(
        ("turing-test", "create", "--real", folders.real, "--generated", folders.generated["a"], *study),
        ("turing-test", "export", "--out", tmp_path / "out", *study),
        ("turing-test", "report", *study),
        ("train", "mnist"),
        ("turing-test", "report", "--db", tmp_path / "x.db"),
    )
    assert [code for code, _ in done] == [0, 0, 0], done
    for (code, errors), said in ((needs_torch, "needs PyTorch"), (no_database, "there is no database")):
        assert (code, len(errors.splitlines())) == (2, 1), errors
        assert said in errors


def test_its_own_distribution_needs_no_more_than_the_extra_and_has_its_versions() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    own = tomllib.loads((ROOT / "turing-test" / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    extras = project["optional-dependencies"]
    known = {*project["dependencies"], *extras["web"], *extras["plots"]}
    assert set(own["dependencies"]) <= known
    assert set(extras["web"]) - {"improved-gan[plots]"} <= set(own["dependencies"])
    assert own["optional-dependencies"]["postgresql"] == extras["postgresql"]
    assert own["scripts"] == project["scripts"]


def test_the_services_of_compose() -> None:
    services = yaml.safe_load((ROOT / "turing-test" / "compose.yaml").read_text(encoding="utf-8"))["services"]
    assert set(services) == {"study", "database", "proxy"}
    assert "ports" not in services["study"]
    assert (
        ROOT / "turing-test" / services["study"]["build"]["context"] / services["study"]["build"]["dockerfile"]
    ).exists()


def test_compose_follows_its_schema() -> None:
    pytest.importorskip("check_jsonschema")
    command = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", "vendor.compose-spec"]
    done = subprocess.run([*command, ROOT / "turing-test" / "compose.yaml"], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize("name", ["turing-test/Dockerfile", "turing-test/compose.yaml"])
def test_commands_in_them_have_options_that_exist(name: str) -> None:
    from click.testing import CliRunner

    from improved_gan.cli.turing_test import turing_test

    text = (ROOT / name).read_text(encoding="utf-8")
    known = CliRunner().invoke(turing_test, ["serve", "--help"]).output
    for option in ("--host", "--public", "--db"):
        assert f'"{option}"' in text
        assert option in known
