"""What is released: reproducible files, complete, with links that work on a package index; and its recipes."""

import hashlib
import os
import re
import subprocess
import sys
import tarfile
import tomllib
import zipfile
from email import message_from_bytes
from pathlib import Path

import pytest
import yaml

from improved_gan import __version__

ROOT = Path(__file__).parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
build = pytest.importorskip("build")


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The source archive and the wheel, built without internet."""
    out = tmp_path_factory.mktemp("dist")
    _build(out)
    return {path.suffix: path for path in out.iterdir()}


def _build(out: Path) -> None:
    command = [sys.executable, "-m", "build", "--no-isolation", "--outdir", str(out), str(ROOT)]
    subprocess.run(command, check=True, capture_output=True)


@pytest.mark.slow
def test_two_builds_give_the_same_bytes(files: dict[str, Path], tmp_path: Path) -> None:
    _build(tmp_path)
    for path in files.values():
        assert _digest(tmp_path / path.name) == _digest(path)


def _digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def test_twine_accepts_the_files(files: dict[str, Path]) -> None:
    command = [sys.executable, "-m", "twine", "check", "--strict", *map(str, files.values())]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout


def test_the_wheel_has_every_file_of_the_package(files: dict[str, Path]) -> None:
    source = ROOT / "src"
    wanted = {str(path.relative_to(source)) for path in source.rglob("*") if path.is_file()}
    wanted = {name for name in wanted if "__pycache__" not in name and ".egg-info" not in name}
    with zipfile.ZipFile(files[".whl"]) as wheel:
        found = {name for name in wheel.namelist() if ".dist-info/" not in name}
    assert found == wanted


def test_the_source_archive_can_be_tested(files: dict[str, Path]) -> None:
    with tarfile.open(files[".gz"]) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    assert {"pyproject.toml", "LICENSE", "README.md", "tests/test_distribution.py", "docs/conf.py"} <= names
    assert not [name for name in names if name.startswith((".venv", "runs/", "docs/_build"))]


def test_links_of_the_description_lead_out_of_it(files: dict[str, Path]) -> None:
    with zipfile.ZipFile(files[".whl"]) as wheel:
        metadata = message_from_bytes(wheel.read(f"improved_gan-{__version__}.dist-info/METADATA"))
    links = re.findall(r"\]\(([^)]*)\)", metadata.get_payload())
    assert len(links) > 20
    assert [link for link in links if not link.startswith(("https://", "#"))] == []
    for link in links:
        if "/blob/main/" in link or "/main/docs/" in link:
            path = re.split(r"/(?:blob/)?main/", link, maxsplit=1)[1].partition("#")[0]
            assert (ROOT / path).exists(), link


@pytest.mark.slow
def test_the_wheel_works_outside_the_checkout(files: dict[str, Path], tmp_path: Path) -> None:
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--target", str(tmp_path / "site")]
    subprocess.run([*command, str(files[".whl"])], check=True)
    environment = {**os.environ, "PYTHONPATH": str(tmp_path / "site")}
    script = (
        "import improved_gan.metrics as m; from improved_gan.theory import show; "
        "print(m.__file__, show('divergences', 'out').files[0])"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=tmp_path, env=environment, capture_output=True, text=True, check=True
    )
    assert str(tmp_path / "site") in done.stdout
    assert (tmp_path / "out").is_dir()


def test_the_version_stands_everywhere() -> None:
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    conda = yaml.safe_load((ROOT / "conda.recipe" / "recipe.yaml").read_text(encoding="utf-8"))
    assert citation["version"] == conda["context"]["version"] == __version__


def test_the_conda_recipe_has_the_dependencies_of_the_package() -> None:
    conda = yaml.safe_load((ROOT / "conda.recipe" / "recipe.yaml").read_text(encoding="utf-8"))
    wanted = {one.split(";")[0].replace("torch>", "pytorch>").replace(" ", "") for one in PROJECT["dependencies"]}
    found = {one.replace(" ", "") for one in conda["requirements"]["run"]}
    assert found == wanted | {f"python{PROJECT['requires-python']}"}


@pytest.mark.parametrize("path", sorted((ROOT / ".github" / "workflows").glob("*.yml")), ids=lambda path: path.stem)
def test_workflow_follows_its_schema(path: Path) -> None:
    pytest.importorskip("check_jsonschema")
    command = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", "vendor.github-workflows", str(path)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout


def test_the_core_imports_each_of_its_dependencies_and_the_docs_list_them() -> None:
    """What nothing imports need not be installed."""
    text = "\n".join(path.read_text(encoding="utf-8") for path in (ROOT / "src").rglob("*.py"))
    listed = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
    modules = {"pillow": "PIL", "scikit-learn": "sklearn", "tensorboard": r"torch\.utils\.tensorboard"}
    for requirement in PROJECT["dependencies"]:
        name = re.split(r"[<>=~!\[; ]", requirement)[0]
        assert re.search(rf"^ *(from|import) {modules.get(name, name)}\b", text, re.MULTILINE), name
        assert f"`{name}`" in listed.partition("## Dependencies")[2].partition("\n## ")[0], name
