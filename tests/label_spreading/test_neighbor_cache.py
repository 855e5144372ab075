import ast
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from torch import Tensor

from improved_gan.data import load_digits
from improved_gan.label_spreading import apply_pixel_layout, grid_positions, idm_neighbors
from improved_gan.label_spreading import neighbor_cache as module
from improved_gan.label_spreading.neighbor_cache import idm_neighbor_cache

IMAGES = load_digits().train.images[:120]


@pytest.fixture
def found(monkeypatch: pytest.MonkeyPatch) -> list[Tensor]:
    """The images whose neighbors were computed, from an empty memory on."""
    seen: list[Tensor] = []

    def counted(images: Tensor, num: int, *, max_displacement: int) -> tuple[Tensor, Tensor]:
        seen.append(images)
        return idm_neighbors(images, num, max_displacement=max_displacement)

    monkeypatch.setattr(module, "idm_neighbors", counted)
    module._found.clear()
    return seen


@pytest.fixture
def folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """Where neighbors of 100 images or more are stored."""
    monkeypatch.setenv("IMPROVED_GAN_CACHE", str(tmp_path))
    monkeypatch.setattr(module, "_STORED", 100)
    return tmp_path / "neighbors"


def _files(folder: Path) -> list[Path]:
    return list(folder.glob("*.safetensors"))


def test_those_of_images_with_their_pixels_in_place() -> None:
    order = torch.randperm(64, generator=torch.Generator().manual_seed(0))
    shuffled = IMAGES.flatten(1)[:, order].reshape(IMAGES.shape)
    positions = grid_positions(8, 8)[order]
    expected, distances = idm_neighbors(apply_pixel_layout(shuffled, positions), 5, max_displacement=1)
    found = idm_neighbor_cache(shuffled, positions, 5, 1)
    assert torch.equal(found[0], expected)
    assert torch.equal(found[1], distances)
    assert torch.equal(idm_neighbor_cache(IMAGES, None, 5, 1)[0], idm_neighbors(IMAGES, 5, max_displacement=1)[0])


def test_found_once_for_the_same_images_and_again_for_others(found: list[Tensor]) -> None:
    first = idm_neighbor_cache(IMAGES, None, 4, 1)
    assert torch.equal(idm_neighbor_cache(IMAGES.clone(), None, 4, 1)[0], first[0])
    assert len(found) == 1
    other = IMAGES.clone()
    other[7, 0, 3, 3] += 1
    for asked in (
        (other, None, 4, 1),
        (IMAGES, None, 5, 1),
        (IMAGES, None, 4, 2),
        (IMAGES, grid_positions(8, 8), 4, 1),
    ):
        idm_neighbor_cache(*asked)
    assert len(found) == 5
    assert len(module._found) == 2
    idm_neighbor_cache(IMAGES, None, 4, 1)  # no longer kept
    assert len(found) == 6


def test_another_process_finds_them_on_disk(found: list[Tensor], folder: Path) -> None:
    first = idm_neighbor_cache(IMAGES, None, 4, 1)
    module._found.clear()  # as in another process
    again = idm_neighbor_cache(IMAGES, None, 4, 1)
    assert len(found) == 1
    assert all(one.equal(other) for one, other in zip(first, again, strict=True))
    assert len(_files(folder)) == 1
    idm_neighbor_cache(IMAGES[:99], None, 4, 1)  # too few to be stored
    assert len(_files(folder)) == 1
    idm_neighbor_cache(IMAGES, None, 5, 1)
    assert len(_files(folder)) == 2


HOLD = """
import sys, time
from pathlib import Path
from filelock import FileLock
lock, aside, file = map(Path, sys.argv[1:])
with FileLock(lock):
    print("held", flush=True)
    sys.stdin.readline()
    time.sleep(0.2)
    aside.replace(file)
"""


@pytest.mark.parametrize("end", ["writes", "dies", "stays"])
def test_of_processes_that_begin_together_one_computes(
    end: str, found: list[Tensor], folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = idm_neighbor_cache(IMAGES, None, 4, 1)
    (file,) = _files(folder)
    aside = file.replace(tmp_path / "aside")
    module._found.clear()
    command = [sys.executable, "-c", HOLD, *map(str, (file.with_suffix(".lock"), aside, file))]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as other:
        assert other.stdout is not None
        assert other.stdin is not None
        assert other.stdout.readline() == "held\n"
        if end == "writes":
            other.stdin.write("\n")
            other.stdin.flush()
        elif end == "dies":
            other.kill()
        else:
            monkeypatch.setattr(module, "_LONGEST", 0.1)
        assert all(one.equal(two) for one, two in zip(first, idm_neighbor_cache(IMAGES, None, 4, 1), strict=True))
        other.kill()
    assert len(found) == (1 if end == "writes" else 2)


@pytest.mark.parametrize("broken", ["folder", "lock"])
def test_a_cache_that_cannot_be_written_stops_no_run(
    broken: str, found: list[Tensor], folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if broken == "folder":
        folder.touch()
    else:
        folder.mkdir()
        monkeypatch.setattr(Path, "with_suffix", lambda path, _: path.parent)  # the lock is a folder
    assert idm_neighbor_cache(IMAGES, None, 4, 1)[0].equal(idm_neighbors(IMAGES, 4, max_displacement=1)[0])
    assert len(found) == 1


def test_without_a_home_directory_there_is_no_file(
    found: list[Tensor], no_home: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_STORED", 100)
    assert idm_neighbor_cache(IMAGES, None, 4, 1)[0].equal(idm_neighbors(IMAGES, 4, max_displacement=1)[0])
    assert len(found) == 1


@pytest.mark.parametrize("damage", ["cut", "changed", "another shape", "folder"])
def test_a_damaged_file_is_written_again(damage: str, found: list[Tensor], folder: Path) -> None:
    first = idm_neighbor_cache(IMAGES, None, 4, 1)
    (file,) = _files(folder)
    content = file.read_bytes()
    if damage == "cut":
        file.write_bytes(content[:-100])
    elif damage == "changed":
        file.write_bytes(content[:-5] + bytes([content[-5] ^ 1]) + content[-4:])
    elif damage == "another shape":
        module._save(file, (first[0][:, :3], first[1][:, :3]))
    else:
        file.unlink()
        file.mkdir()
    for _ in range(2):
        module._found.clear()
        assert idm_neighbor_cache(IMAGES, None, 4, 1)[0].equal(first[0])
    assert len(found) == (3 if damage == "folder" else 2)


@pytest.mark.parametrize("source", module._SOURCES)
def test_other_code_computes_them_again(
    source: str, found: list[Tensor], folder: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    copy = tmp_path / "package"
    for one in module._SOURCES:
        (copy / one).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(module._PACKAGE / one, copy / one)
    idm_neighbor_cache(IMAGES, None, 4, 1)
    monkeypatch.setattr(module, "_PACKAGE", copy)
    for text, times in (("", 1), ("# changed", 2)):
        with (copy / source).open("a") as file:
            file.write(text)
        module._found.clear()
        idm_neighbor_cache(IMAGES, None, 4, 1)
        assert len(found) == times
    (copy / source).unlink()  # an installation without source code stores nothing
    module._found.clear()
    idm_neighbor_cache(IMAGES, None, 4, 1)
    assert len(found) == 3
    assert len(_files(folder)) == 2


def test_all_code_that_computes_them_counts() -> None:
    """What the two functions import from the package, but for building blocks of networks."""
    unused = {f"improved_gan.{one}" for one in ("networks", "techniques", "data", "kernels.noise", "optional_import")}
    counted = {f"improved_gan/{one}".removesuffix(".py").replace("/", ".") for one in module._SOURCES}
    package = module._PACKAGE.parent
    for name in [one for one in counted if not one.endswith(".cpp")]:
        tree = ast.parse((package / f"{name.replace('.', '/')}.py").read_text())
        for node in ast.walk(tree):
            if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("improved_gan"):
                found = {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
                assert found & counted or any(str(node.module).startswith(one) for one in unused), node.module


def test_compiled_kernels_and_plain_ones_have_files_of_their_own(monkeypatch: pytest.MonkeyPatch) -> None:
    files = []
    for kernels in (None, object()):
        monkeypatch.setattr(module.cpp_extension, "library", lambda kernels=kernels: kernels)
        files.append(module._file(("key",)))
    assert files[0] != files[1]
