from pathlib import Path

import pytest
import torch

from improved_gan.recipes.trained import choose_device, load_trained
from improved_gan.training.errors import RunError


def test_a_trained_run_gives_averaged_weights_in_evaluation_mode(trained_run: Path) -> None:
    trained = load_trained(trained_run, warn=pytest.fail)
    assert trained.class_names == list("0123456789")
    assert trained.image_shape == (1, 8, 8)
    assert not trained.discriminator.training
    assert not trained.generator.training
    images = torch.rand(4, 1, 8, 8)
    assert torch.equal(trained.discriminator(images).logits, trained.discriminator(images).logits)


def test_what_is_no_run(tmp_path: Path) -> None:
    with pytest.raises(RunError, match="is no run folder"):
        load_trained(tmp_path, warn=pytest.fail)


def test_devices() -> None:
    assert choose_device("cpu") == "cpu"
    assert choose_device(None) == ("cuda" if torch.cuda.is_available() else "cpu")
    with pytest.raises(RunError, match="try --device cpu"):
        choose_device("cuda:77")
    with pytest.raises(RunError, match="try --device cpu"):
        choose_device("abacus")
