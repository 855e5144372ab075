"""The convolutional and ImageNet pairs as files: reference batches folded, minibatch features refused."""

from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest
import torch

from improved_gan.export.errors import ExportError
from improved_gan.export.export_module import ExportSpec, make_export_module
from improved_gan.export.serialize import captured, largest_differences, run_onnx, run_torch, write_onnx, write_torch
from improved_gan.networks import ConvolutionalDiscriminator, ConvolutionalGenerator, Discriminator, Generator
from improved_gan.networks.convolutional import ReferenceGenerator
from improved_gan.networks.imagenet import ImageNetDiscriminator, ImageNetGenerator
from improved_gan.techniques import MinibatchDiscrimination

METADATA_FILE = {"versions": {"improved-gan": "0"}}
SMALL, LARGE = (3, 16, 16), (3, 32, 32)
MINIBATCH = partial(MinibatchDiscrimination, num_kernels=4, kernel_dim=3)
GENERATOR = partial(ConvolutionalGenerator, SMALL, latent_size=10, widths=(12, 8))
IMAGENET = partial(ImageNetGenerator, LARGE, latent_size=10, width=2, factors=(4, 2, 1), noise_channels=2)


def spec(what: str, generator: Generator, discriminator: Discriminator, shape: tuple[int, ...]) -> ExportSpec:
    with torch.no_grad():
        for _ in range(3):  # running statistics that are not those of the start
            images = generator.train()(generator.draw_latents(20))
            discriminator.train()(images)
    return make_export_module(what, generator.eval(), discriminator.eval(), image_shape=shape, class_names=["a", "b"])


def convolutional(what: str, generator: Callable[[], Generator] = GENERATOR, **options: object) -> ExportSpec:
    torch.manual_seed(0)
    return spec(what, generator(), ConvolutionalDiscriminator(SMALL, 2, widths=(8, 8), **options), SMALL)


def imagenet(what: str, **options: object) -> ExportSpec:
    torch.manual_seed(0)
    generator = ReferenceGenerator(IMAGENET, num_reference=12)
    return spec(what, generator, ImageNetDiscriminator(LARGE, 2, width=2, **options), LARGE)


CASES = {
    "convolutional features beside a minibatch layer": (partial(convolutional, "features", minibatch=MINIBATCH), 0),
    "convolutional generator": (partial(convolutional, "generator"), 2),
    "reference generator": (partial(convolutional, "generator", partial(ReferenceGenerator, GENERATOR)), 0),
    "imagenet classifier": (partial(imagenet, "classifier"), 8),
    "imagenet generator": (partial(imagenet, "generator"), 0),
}


@pytest.mark.slow
@pytest.mark.parametrize("case", CASES)
def test_folded_and_loaded_again_they_give_what_the_networks_give(case: str, tmp_path: Path) -> None:
    make, folds = CASES[case]
    made = make()
    program, num_folded = captured(made)
    assert num_folded == folds
    write_torch(program, made, METADATA_FILE, tmp_path / "x.pt2")
    assert max(largest_differences(made, run_torch(tmp_path / "x.pt2")).values()) <= 1e-5
    onnx = pytest.importorskip("onnx")
    write_onnx(program, made, METADATA_FILE, tmp_path / "x.onnx")
    assert max(largest_differences(made, run_onnx(tmp_path / "x.onnx")).values()) <= 1e-5
    kinds = {node.op_type for node in onnx.load(tmp_path / "x.onnx").graph.node}
    assert not {kind for kind in kinds if "Random" in kind or kind == "Dropout"}


@pytest.mark.parametrize("make", [convolutional, imagenet])
def test_a_classifier_that_compares_the_images_of_a_batch_is_refused(make: Callable[..., ExportSpec]) -> None:
    with pytest.raises(ExportError, match="change with the other images of its batch"):
        make("classifier", minibatch=MINIBATCH)
