"""Folders for the Hub, and the real client of the Hub with a stand-in on loopback."""

import json
import pickle
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch

from improved_gan import SemiSupervisedGANClassifier
from improved_gan.export.errors import ExportError
from improved_gan.export.hub import from_pretrained, load, push_to_hub, save
from improved_gan.networks import Generator
from improved_gan.runs import Networks, Run
from tests.command_line import cli
from tests.export.hub_server import TOKEN, Hub, serve

huggingface_hub = pytest.importorskip("huggingface_hub")
constants = pytest.importorskip("huggingface_hub.constants")
pytestmark = pytest.mark.filterwarnings("ignore:Use 'content=:DeprecationWarning")  # of the client's own calls


@pytest.fixture
def networks(trained_run: Path) -> Networks:
    return Run(trained_run).load(warn=pytest.fail)


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    """The real client, whose Hub is on loopback and whose cache is empty."""
    with serve() as server:
        monkeypatch.setattr(constants, "ENDPOINT", server.address)
        template = server.address + "/{repo_id}/resolve/{revision}/{filename}"
        monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", template)
        # Git LFS: the chunked storage of the Hub has no stand-in.
        monkeypatch.setattr(constants, "HF_HUB_DISABLE_XET", True)
        monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "cache"))
        yield server


def test_networks_that_were_uploaded_and_downloaded_give_the_same_outputs(networks: Networks, hub: Hub) -> None:
    address = push_to_hub(networks, "someone/digits", token=TOKEN, private=True)
    assert address == f"{hub.address}/someone/digits/commit/{hub.find('someone/digits', 'main')[0]}"
    assert hub.private == {"someone/digits": True}
    assert list(hub.stored.values()) == [hub.files["someone/digits"]["model.safetensors"]]
    hub.commit("someone/digits", {"recipe.py": b"raise SystemExit('executed')"})
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


def test_a_revision_is_the_one_of_its_commit(networks: Networks, hub: Hub) -> None:
    """Once downloaded, a model is read from the cache where the Hub cannot be reached."""
    first = push_to_hub(networks, "someone/digits", token=TOKEN).rpartition("/")[2]
    with torch.no_grad():
        next(networks.discriminator.parameters()).add_(1)
    push_to_hub(networks, "someone/digits", token=TOKEN)
    found = [from_pretrained("someone/digits", revision=revision) for revision in (first, None)]
    weights = [next(one.discriminator.parameters()) for one in found]
    torch.testing.assert_close(weights[1], weights[0] + 1)
    requests = len(hub.requests)
    torch.testing.assert_close(
        next(from_pretrained("someone/digits", revision=first).discriminator.parameters()), weights[0]
    )
    assert not [one for one in hub.requests[requests:] if one.startswith("GET") and "/resolve/" in one]


def test_an_estimator(tmp_path: Path, hub: Hub) -> None:
    rows = np.random.default_rng(0).random((40, 4)).astype(np.float32)
    model = SemiSupervisedGANClassifier(epochs=1, random_state=0, device="cpu")
    model.fit(rows, np.arange(40) % 2)
    push_to_hub(model, "someone/rows", token=TOKEN)
    again = from_pretrained("someone/rows")
    np.testing.assert_array_equal(again.predict_proba(rows), model.predict_proba(rows))
    assert "predict" in hub.files["someone/rows"]["README.md"].decode()
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
    with pytest.raises(ExportError, match=r"does not match its config\.json"):
        load(tmp_path / "m")
    weights.write_bytes(content)
    stored = json.loads((tmp_path / "m" / "recipe.json").read_text())
    (tmp_path / "m" / "recipe.json").write_text(json.dumps(stored | {"code_sha256": "ab" * 32}))
    with pytest.raises(ExportError, match="never executed"):
        load(tmp_path / "m")


def test_a_run_on_embeddings_is_refused_as_its_pretrained_network_would_be_missing(
    networks: Networks, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Run, "embedding", property(lambda _: {"spec": "lite0:network"}))
    with pytest.raises(ExportError, match="a run on embeddings has no folder for the Hub"):
        save(networks, tmp_path / "m")
    assert not (tmp_path / "m").exists()


def test_what_cannot_be_saved_or_found_is_told(
    networks: Networks, tmp_path: Path, hub: Hub, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "thesis").mkdir()
    (tmp_path / "thesis" / "chapter.tex").touch()
    with pytest.raises(ExportError, match=r"contains other files \(chapter\.tex\)"):
        save(networks, tmp_path / "thesis")
    with pytest.raises(ExportError, match="got Linear"):
        save(torch.nn.Linear(1, 1), tmp_path / "x")  # type: ignore[arg-type]
    with pytest.raises(ExportError, match=r"config\.json cannot be read"):
        load(tmp_path / "nowhere")
    with pytest.raises(ExportError, match="neither a folder nor a repository"):
        from_pretrained(tmp_path / "nowhere")
    with pytest.raises(ExportError, match=r"download of someone/else failed: .*Repository Not Found"):
        from_pretrained("someone/else")
    with pytest.raises(ExportError, match=r"upload to someone/else failed: .*401"):
        push_to_hub(networks, "someone/else", token="wrong")
    assert hub.files == {}
    monkeypatch.setattr(constants, "ENDPOINT", "http://127.0.0.1:9")  # where nothing listens
    with pytest.raises(ExportError, match="upload to someone/else failed: "):
        push_to_hub(networks, "someone/else", token=TOKEN)
