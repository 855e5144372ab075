import math
from functools import partial

import numpy as np
import pytest
import torch
from torch import Tensor

from improved_gan.export.errors import ExportError
from improved_gan.export.export_module import make_export_module
from improved_gan.networks import DenseDiscriminator, DenseGenerator, Discriminator, DiscriminatorOutput
from improved_gan.techniques import MinibatchDiscrimination

SHAPE, NAMES = (3, 4, 5), ["a", "b", "c"]


def pair() -> tuple[DenseGenerator, DenseDiscriminator]:
    torch.manual_seed(0)
    generator = DenseGenerator(SHAPE, latent_size=6, hidden=(8, 8)).eval()
    return generator, DenseDiscriminator(SHAPE, 3, hidden=(16, 8)).eval()


def made(what: str, discriminator: Discriminator | None = None, **options: object):
    generator, usual = pair()
    return make_export_module(what, generator, discriminator or usual, image_shape=SHAPE, class_names=NAMES, **options)  # type: ignore[arg-type]


@pytest.mark.parametrize("layout", ["nhwc", "nchw"])
def test_a_classifier_from_uint8_to_probabilities_and_realness(layout: str) -> None:
    spec = made("classifier", layout=layout)
    images = np.random.default_rng(0).integers(0, 256, (7, 3, 4, 5), dtype=np.uint8)
    with torch.no_grad():
        logits = pair()[1](torch.from_numpy(images / np.float32(255))).logits.double().numpy()
    rearranged = images if layout == "nchw" else images.transpose(0, 2, 3, 1)
    exps = np.exp(logits)
    for answer in (spec.network, spec.expected):
        probabilities, real_score = answer(torch.from_numpy(np.ascontiguousarray(rearranged)))
        np.testing.assert_allclose(probabilities, exps / exps.sum(1, keepdims=True), atol=1e-6)
        np.testing.assert_allclose(real_score, exps.sum(1) / (1 + exps.sum(1)), atol=1e-6)
    assert spec.source.shape == (("N", 3, 4, 5) if layout == "nchw" else ("N", 4, 5, 3))
    assert [one.name for one in spec.outputs] == ["probabilities", "real_score"]


def test_features_and_generator() -> None:
    spec = made("features")
    assert spec.outputs[0].shape == ("N", 8)
    rows = spec.draw(5)
    assert rows.shape == (5, 4, 5, 3)
    assert rows.dtype == torch.uint8
    torch.testing.assert_close(spec.network(rows)[0], pair()[1](rows.permute(0, 3, 1, 2) / 255).features)
    spec = made("generator", layout="nchw")
    assert spec.source.meaning == "independent, uniform in [0, 1]"
    latents = spec.draw(5)
    torch.testing.assert_close(spec.network(latents)[0], pair()[0](latents))
    assert made("generator").expected(latents)[0].shape == (5, 4, 5, 3)


class WithMinibatchFeatures(Discriminator):
    is_batch_independent = False

    def __init__(self) -> None:
        super().__init__()
        self.minibatch, self.output = MinibatchDiscrimination(60, 5, 3), torch.nn.Linear(65, 3)

    def forward(self, images: Tensor) -> DiscriminatorOutput:
        features = images.flatten(1)
        return DiscriminatorOutput(self.output(self.minibatch(features)), features)


class OnlyReal(Discriminator):
    def forward(self, images: Tensor) -> DiscriminatorOutput:
        return DiscriminatorOutput(images.flatten(1).sum(1), images)


def test_what_would_answer_otherwise_in_another_batch_is_refused_and_the_rest_is_not() -> None:
    with pytest.raises(ExportError, match="probabilities of an image change with the other images of its batch"):
        made("classifier", WithMinibatchFeatures().eval())
    assert made("features", WithMinibatchFeatures().eval()).outputs[0].shape == ("N", 60)


def test_a_run_without_a_gan_has_a_classifier_and_no_generator() -> None:
    usual = made("classifier").expected(rows := made("classifier").draw(6))
    without = partial(make_export_module, generator=None, discriminator=pair()[1], image_shape=SHAPE, class_names=NAMES)
    for one, other in zip(without("classifier").expected(rows), usual, strict=True):
        torch.testing.assert_close(one, other)
    assert without("features").draw(5).shape == (5, 4, 5, 3)
    with pytest.raises(ExportError, match="no GAN was trained, so there is no generator"):
        without("generator")


def test_no_classes_and_unknown_words() -> None:
    with pytest.raises(ExportError, match="has no class outputs"):
        made("classifier", OnlyReal())
    for options, message in (
        ({"what": "x"}, "--head must be one of classifier"),
        ({"what": "features", "layout": "hwc"}, "--layout"),
    ):
        with pytest.raises(ExportError, match=message):
            made(**options)


def test_latents_of_another_distribution_are_described() -> None:
    generator, discriminator = pair()
    generator.draw_latents = partial(_normal, 6)  # type: ignore[method-assign]
    spec = make_export_module("generator", generator, discriminator, image_shape=SHAPE, class_names=NAMES)
    mean = float(spec.source.meaning.split("mean ")[1].split(",")[0])
    assert math.isclose(mean, 2, abs_tol=0.1)


def _normal(size: int, num: int, *, source: torch.Generator) -> Tensor:
    return 2 + torch.randn(num, size, generator=source)
