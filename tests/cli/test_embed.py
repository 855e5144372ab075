from pathlib import Path

import click
import numpy as np
import pytest
from click.testing import CliRunner
from rich.console import Console

from improved_gan.cli import app
from improved_gan.cli.embed import EmbedOptions
from improved_gan.data.embeddings import read_embeddings
from improved_gan.embeddings.embed import Embedding, embed_images
from tests.command_line import start
from tests.pictures import folder_of

COLOR = "tests.pictures:color_logits"


def test_the_command_writes_what_evaluate_reads(tmp_path: Path) -> None:
    images, out, cache = folder_of(tmp_path / "a", 12), tmp_path / "e.npz", tmp_path / "cache"
    (images / "copy.png").write_bytes((images / "000.png").read_bytes())
    words = ["embed", images, "--network", COLOR, "--out", out, "--cache", cache, "--device", "cpu"]
    found = CliRunner().invoke(app, [str(word) for word in words], catch_exceptions=False)
    assert found.exit_code == 0
    assert "warning: 1 of 13 embeddings equal an earlier one" in found.output
    assert "13 images, 12 features of tests.pictures:color_logits (sha256" in found.output
    about = read_embeddings(out).about
    assert (about["spec"], about["source"], about["weights"]) == (COLOR, str(images), "")
    words = ["evaluate", out, "--reference", images, "--network", COLOR, "--cache", cache, "--metrics", "fid"]
    scored = CliRunner().invoke(app, [str(word) for word in words], catch_exceptions=False)
    assert scored.exit_code == 0, scored.output
    assert "Fréchet distance" in scored.output


def test_several_processes_give_the_same(tmp_path: Path) -> None:
    images = folder_of(tmp_path / "a", 70)
    alone = embed_images(images, Embedding(COLOR, tmp_path / "one"), Console(quiet=True))
    words = ["embed", images, "--network", COLOR, "--cache", tmp_path / "two", "--device", "cpu"]
    process = start(*words, "--out", tmp_path / "e.npz", "--workers", "2")
    _, errors = process.communicate(timeout=120)
    assert process.returncode == 0, errors
    np.testing.assert_array_equal(read_embeddings(tmp_path / "e.npz").features, alone.features)


@pytest.mark.parametrize(("change", "message"), [({"dtype": "int8"}, "float32 or float16"), ({"out": "e.npy"}, "npz")])
def test_options_that_contradict(change: dict[str, str], message: str) -> None:
    words = {"network": COLOR, "out": "e.npz"} | change
    with pytest.raises(click.BadParameter, match=message):
        EmbedOptions(Path("a"), **words | {"out": Path(words["out"])})  # type: ignore[arg-type]
