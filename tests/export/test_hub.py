"""Folders for the Hub, and a stand-in for the Hub: a folder on disk with the interface of huggingface_hub."""

import inspect
import json
import pickle
import shutil
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from improved_gan import SemiSupervisedGANClassifier
from improved_gan.export.errors import ExportError
from improved_gan.export.hub import from_pretrained, load, push_to_hub, save
from improved_gan.networks import Generator
from improved_gan.runs import Networks, Run
from tests.command_line import cli

huggingface_hub = pytest.importorskip("huggingface_hub")


@pytest.fixture
def networks(trained_run: Path) -> Networks:
    return Run(trained_run).load(warn=pytest.fail)


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Repositories are folders; each call must fit the signature of huggingface_hub."""
    root = tmp_path / "hub"
    api, download = huggingface_hub.HfApi, huggingface_hub.snapshot_download

    class Api:
        def __init__(self, token: str | None = None) -> None:
            assert token == "secret"
            inspect.signature(api).bind(token=token)

        def create_repo(self, repo_id: str, *, private: bool, exist_ok: bool) -> None:
            inspect.signature(api.create_repo).bind(self, repo_id, private=private, exist_ok=exist_ok)
            (root / repo_id).mkdir(parents=True, exist_ok=exist_ok)

        def upload_folder(self, *, repo_id: str, folder_path: str, commit_message: str) -> SimpleNamespace:
            words = {"repo_id": repo_id, "folder_path": folder_path, "commit_message": commit_message}
            inspect.signature(api.upload_folder).bind(self, **words)
            shutil.copytree(folder_path, root / repo_id, dirs_exist_ok=True)
            return SimpleNamespace(commit_url=f"hub/{repo_id}/commit/1")

    def snapshot_download(repo_id: str, *, revision: str | None, token: str | None, allow_patterns: list[str]) -> str:
        words = {"revision": revision, "token": token, "allow_patterns": allow_patterns}
        inspect.signature(download).bind(repo_id, **words)
        if not (root / repo_id).is_dir():
            raise huggingface_hub.errors.LocalEntryNotFoundError("no such\nrepository")
        local = tmp_path / "downloaded" / repo_id
        shutil.rmtree(local, ignore_errors=True)
        local.mkdir(parents=True)
        for file in (root / repo_id).iterdir():
            if file.name in allow_patterns:
                shutil.copy(file, local)
        return str(local)

    monkeypatch.setattr(huggingface_hub, "HfApi", Api)
    monkeypatch.setattr(huggingface_hub, "snapshot_download", snapshot_download)
    return root


def test_networks_that_were_uploaded_and_downloaded_give_the_same_outputs(networks: Networks, hub: Path) -> None:
    assert push_to_hub(networks, "someone/digits", token="secret") == "hub/someone/digits/commit/1"
    (hub / "someone/digits/recipe.py").write_text("raise SystemExit('executed')")
    again = from_pretrained("someone/digits")
    assert isinstance(again, Networks)
    assert not (again.run.path / "recipe.py").exists()
    images = torch.rand(5, *networks.run.image_shape)
    latents = networks.generator.draw_latents(5)
    with torch.no_grad():
        torch.testing.assert_close(again.discriminator(images), networks.discriminator(images), rtol=0, atol=0)
        torch.testing.assert_close(again.generator(latents), networks.generator(latents), rtol=0, atol=0)
    assert (again.step, again.run.class_names) == (networks.step, networks.run.class_names)
    assert again.run.log.last["test/error"] == networks.run.log.last["test/error"]


def test_the_command_writes_a_generator_with_a_card_that_the_hub_can_read(
    trained_run: Path, networks: Networks, tmp_path: Path
) -> None:
    out = tmp_path / "g"
    words = ["export", str(trained_run), "--format", "hub", "--head", "generator", "--out", str(out)]
    assert cli(*words).returncode == 0
    generator = load(out)
    assert isinstance(generator, Generator)
    latents = generator.draw_latents(3)
    with torch.no_grad():
        torch.testing.assert_close(generator(latents), networks.generator(latents), rtol=0, atol=0)
    card = huggingface_hub.ModelCard.load(out / "README.md")
    assert (card.data.library_name, card.data.pipeline_tag) == ("improved-gan", "unconditional-image-generation")
    assert "arxiv:1606.03498" in card.data.tags
    assert not any("discriminator" in name for name in load_names(out))


def load_names(folder: Path) -> list[str]:
    from safetensors import safe_open

    with safe_open(folder / "model.safetensors", "pt") as file:
        return list(file.keys())


def test_an_estimator(tmp_path: Path, hub: Path) -> None:
    rows = np.random.default_rng(0).random((40, 4)).astype(np.float32)
    model = SemiSupervisedGANClassifier(epochs=1, random_state=0, device="cpu")
    model.fit(rows, np.arange(40) % 2)
    push_to_hub(model, "someone/rows", token="secret")
    again = from_pretrained("someone/rows")
    np.testing.assert_array_equal(again.predict_proba(rows), model.predict_proba(rows))
    assert "predict" in (hub / "someone/rows/README.md").read_text()
    save(model, tmp_path / "twice")
    save(model, tmp_path / "twice")


def test_a_pickle_or_changed_weights_or_the_code_of_a_recipe_file_are_refused(
    networks: Networks, tmp_path: Path
) -> None:
    class Bomb:
        def __reduce__(self) -> tuple:
            return (Path.touch, (tmp_path / "executed",))

    save(networks, tmp_path / "m")
    weights = tmp_path / "m" / "model.safetensors"
    content = weights.read_bytes()
    weights.write_bytes(pickle.dumps(Bomb()))
    with pytest.raises(ExportError, match="cannot be read"):
        load(tmp_path / "m")
    assert not (tmp_path / "executed").exists()
    weights.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    with pytest.raises(ExportError, match=r"is not what its config\.json was saved with"):
        load(tmp_path / "m")
    weights.write_bytes(content)
    stored = json.loads((tmp_path / "m" / "recipe.json").read_text())
    (tmp_path / "m" / "recipe.json").write_text(json.dumps(stored | {"code_sha256": "ab" * 32}))
    with pytest.raises(ExportError, match="never executed"):
        load(tmp_path / "m")


def test_what_cannot_be_saved_or_found_is_told(networks: Networks, tmp_path: Path, hub: Path) -> None:
    (tmp_path / "thesis").mkdir()
    (tmp_path / "thesis" / "chapter.tex").touch()
    with pytest.raises(ExportError, match=r"holds something else \(chapter\.tex\)"):
        save(networks, tmp_path / "thesis")
    with pytest.raises(ExportError, match="got Linear"):
        save(torch.nn.Linear(1, 1), tmp_path / "x")  # type: ignore[arg-type]
    with pytest.raises(ExportError, match=r"config\.json cannot be read"):
        load(tmp_path / "nowhere")
    with pytest.raises(ExportError, match="neither a folder nor a repository"):
        from_pretrained(tmp_path / "nowhere")
    with pytest.raises(ExportError, match="download of someone/else failed: no such repository"):
        from_pretrained("someone/else")
