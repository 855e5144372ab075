"""The exported module: one input, named outputs, preprocessing included, no dependence on the rest of the batch.

    classifier   images (N, H, W, C) uint8 -> probabilities (N, K), real_score (N,)
    features     images (N, H, W, C) uint8 -> features (N, A), what feature matching compares
    embedding    images (N, H, W, C) uint8, as the pretrained network takes them -> as classifier
    generator    latents (N, Z) float32    -> images (N, H, W, C) float32 in [0, 1]

Images have the layout of Pillow and NumPy, or (N, C, H, W) with layout "nchw". The module divides them by 255. It does
not resize them: libraries resize differently, so the network's input would differ from that in training.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from improved_gan.export.errors import ExportError
from improved_gan.export.fuse import fused
from improved_gan.export.onnx_backbone import OnnxBackbone
from improved_gan.metrics.network import OnnxFile
from improved_gan.networks.interface import Discriminator, Generator
from improved_gan.techniques.minibatch_discrimination import MinibatchDiscrimination

__all__ = ["HEADS", "LAYOUTS", "ExportSpec", "TensorSpec", "make_embedding_classifier", "make_export_module"]

HEADS = ("classifier", "generator", "features")
_Draw = Callable[[int], Tensor]  # inputs for verification
LAYOUTS = ("nhwc", "nchw")


@dataclass(frozen=True)
class TensorSpec:
    """An input or output, as the model card describes it. N in the shape is any number of rows."""

    name: str
    dtype: str
    shape: tuple[str | int, ...]
    meaning: str


@dataclass(frozen=True)
class ExportSpec:
    """A network prepared for export.

    Attributes:
        what: one of `HEADS`.
        network: takes one tensor, returns a tuple of tensors.
        source: the input.
        outputs: the outputs, in the network's order.
        expected: computes the same outputs with the original network.
        draw: draws N rows of input for verification.
        backbone: an ONNX network between the input and `network`, which takes its features then.
    """

    what: str
    network: nn.Module
    source: TensorSpec
    outputs: tuple[TensorSpec, ...]
    expected: Callable[[Tensor], tuple[Tensor, ...]]
    draw: Callable[[int], Tensor]
    backbone: OnnxBackbone | None = None


class _Classifier(nn.Module):
    def __init__(self, network: nn.Module, layout: str) -> None:
        super().__init__()
        self.network, self.layout = network, layout

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        logits = self.network(_unit(images, self.layout)).logits
        return logits.softmax(1), torch.sigmoid(logits.logsumexp(1))


class _FeatureClassifier(nn.Module):
    """The scaling of features, and the classifier of a run on embeddings."""

    def __init__(self, scaling: nn.Module, network: nn.Module) -> None:
        super().__init__()
        self.scaling, self.network = scaling, network

    def forward(self, features: Tensor) -> tuple[Tensor, Tensor]:
        logits = self.network(self.scaling(features.flatten(1))).logits
        return logits.softmax(1), torch.sigmoid(logits.logsumexp(1))


class _EmbeddingClassifier(nn.Module):
    """A pretrained network before the classifier of its features."""

    def __init__(self, backbone: nn.Module, classifier: _FeatureClassifier, layout: str) -> None:
        super().__init__()
        self.backbone, self.classifier, self.layout = backbone, classifier, layout

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        found = self.backbone(_channels_first(images, self.layout))
        probabilities, real_score = self.classifier(found[0] if isinstance(found, (tuple, list)) else found)
        return probabilities, real_score


class _Features(nn.Module):
    def __init__(self, network: nn.Module, layout: str) -> None:
        super().__init__()
        self.network, self.layout = network, layout

    def forward(self, images: Tensor) -> tuple[Tensor]:
        return (self.network(_unit(images, self.layout)).features.flatten(1),)


class _ZeroPadding(nn.Module):
    """Replaces a minibatch layer after f(x): its output is not used, and tracing it would fix the batch size."""

    def __init__(self, num_kernels: int) -> None:
        super().__init__()
        self.num_kernels = num_kernels

    def forward(self, features: Tensor, *_: object) -> Tensor:
        return F.pad(features, (0, self.num_kernels))

    def forward_real_and_generated(
        self, real: Tensor, generated: Tensor, *, over_pairs: bool = False
    ) -> tuple[Tensor, Tensor]:
        return F.pad(real, (0, 2 * self.num_kernels)), F.pad(generated, (0, 2 * self.num_kernels))


def _without_minibatch(network: nn.Module) -> nn.Module:
    for parent in list(network.modules()):
        for name, child in list(parent.named_children()):
            if isinstance(child, MinibatchDiscrimination):
                setattr(parent, name, _ZeroPadding(child.weight.shape[1]))
    return network


class _Generator(nn.Module):
    def __init__(self, network: nn.Module, layout: str) -> None:
        super().__init__()
        self.network, self.layout = network, layout

    def forward(self, latents: Tensor) -> tuple[Tensor]:
        images = self.network(latents)
        return (images.permute(0, 2, 3, 1) if self.layout == "nhwc" else images,)


def _channels_first(images: Tensor, layout: str) -> Tensor:
    return images.permute(0, 3, 1, 2) if layout == "nhwc" else images


def _unit(images: Tensor, layout: str) -> Tensor:
    return _channels_first(images, layout).to(torch.float32) / 255


def make_export_module(
    what: str,
    generator: Generator | None,
    discriminator: Discriminator,
    *,
    image_shape: Sequence[int],
    class_names: Sequence[str],
    layout: str = "nhwc",
) -> ExportSpec:
    """Fold the network that `what` needs, and describe its input and outputs.

    Args:
        what: one of `HEADS`.
        generator: in evaluation mode, on the CPU; None where no GAN is trained.
        discriminator: in evaluation mode, on the CPU.
        image_shape: (C, H, W).
        class_names: names of the K classes.
        layout: one of `LAYOUTS`.

    Raises:
        ExportError: an unknown name, a head that the run lacks, or outputs that depend on the rest of the batch.
    """
    for value, known, name in ((what, HEADS, "--head"), (layout, LAYOUTS, "--layout")):
        if value not in known:
            raise ExportError(f"{name} must be one of {', '.join(known)}; got {value!r}")
    channels, height, width = image_shape
    shape = ("N", height, width, channels) if layout == "nhwc" else ("N", channels, height, width)
    image_spec = TensorSpec(
        "images", "uint8", shape, f"{'RGB' if channels == 3 else 'grayscale'}, 0 to 255, not normalized"
    )
    draw = _draw_images(generator, image_spec, layout)
    if what == "generator":
        if generator is None:
            raise ExportError("no GAN was trained, so there is no generator to export: take --head classifier")
        made = _generator(generator, image_spec, layout)
    else:
        made = {"classifier": _classifier, "features": _features}[what](
            discriminator, image_spec, class_names, layout, draw
        )
    _check_batch_independence(made)
    return made


def make_embedding_classifier(
    backbone: nn.Module | OnnxFile,
    scaling: nn.Module,
    discriminator: Discriminator,
    *,
    image_shape: Sequence[int],
    class_names: Sequence[str],
    layout: str = "nhwc",
) -> ExportSpec:
    """The classifier of a run on embeddings, with the pretrained network in it.

    The features are not rounded to 8 bits as in the run, which moves probabilities in the third digit.

    Args:
        backbone: images (N, C, H, W) uint8 -> features (N, A), alone or first; or an ONNX file.
        scaling: features -> the discriminator's input.
        discriminator: in evaluation mode, on the CPU.
        image_shape: (C, H, W) of the pretrained network.
        class_names: names of the K classes.
        layout: one of `LAYOUTS`.

    Raises:
        ExportError: an unknown layout.
    """
    if layout not in LAYOUTS:
        raise ExportError(f"--layout must be one of {', '.join(LAYOUTS)}; got {layout!r}")
    channels, height, width = image_shape
    shape = ("N", height, width, channels) if layout == "nhwc" else ("N", channels, height, width)
    source = TensorSpec("images", "uint8", shape, "0 to 255, of the size that the pretrained network takes")
    original, random = _FeatureClassifier(scaling, discriminator), torch.Generator().manual_seed(0)

    @torch.no_grad()
    def expected(images: Tensor) -> tuple[Tensor, ...]:
        first = _channels_first(images, layout)
        found = backbone.run(first) if isinstance(backbone, OnnxFile) else backbone(first)
        return tuple(one.double() for one in original(found[0] if isinstance(found, (tuple, list)) else found))

    def draw(num: int) -> Tensor:
        sizes = tuple(int(size) for size in shape[1:])
        return torch.randint(0, 256, (num, *sizes), dtype=torch.uint8, generator=random)

    classifier, outputs = _FeatureClassifier(scaling, fused(discriminator)), _classifier_outputs(class_names)
    if isinstance(backbone, OnnxFile):
        before = OnnxBackbone(backbone, channels_last=layout == "nhwc")
        made = ExportSpec("classifier", classifier, source, outputs, expected, draw, before)
    else:
        network = _EmbeddingClassifier(backbone, classifier, layout)
        made = ExportSpec("classifier", network, source, outputs, expected, draw)
    _check_batch_independence(made)
    return made


def _classifier_outputs(class_names: Sequence[str]) -> tuple[TensorSpec, ...]:
    return (
        TensorSpec("probabilities", "float32", ("N", len(class_names)), "of each class; their sum is 1"),
        TensorSpec(
            "real_score", "float32", ("N",), "D(x), the probability that the image is real rather than generated"
        ),
    )


def _classifier(
    discriminator: Discriminator, image_spec: TensorSpec, class_names: Sequence[str], layout: str, draw: _Draw
) -> ExportSpec:
    @torch.no_grad()
    def expected(images: Tensor) -> tuple[Tensor, ...]:
        logits = discriminator(_pixels(images, layout)).logits.double()
        if logits.dim() != 2 or logits.shape[1] != len(class_names) or len(class_names) < 2:
            raise ExportError(
                "this run's discriminator has no class outputs, so there is no classifier to export: take "
                "--head features or --head generator"
            )
        real = logits.exp().sum(1) / (1 + logits.exp().sum(1)) if logits.max() < 300 else logits.logsumexp(1).sigmoid()
        return logits.softmax(1), real

    network = _Classifier(fused(discriminator), layout)
    outputs = _classifier_outputs(class_names)
    return ExportSpec("classifier", network, image_spec, outputs, expected, draw)


def _features(
    discriminator: Discriminator, image_spec: TensorSpec, class_names: Sequence[str], layout: str, draw: _Draw
) -> ExportSpec:
    @torch.no_grad()
    def expected(images: Tensor) -> tuple[Tensor, ...]:
        pixels = _pixels(images, layout)
        twice = torch.cat([pixels, pixels])  # minibatch features after f(x) need at least two images
        return (discriminator(twice).features.flatten(1)[: len(images)],)

    size = expected(draw(2))[0].shape[1]
    outputs = (TensorSpec("features", "float32", ("N", size), "f(x), the layer that feature matching compares"),)
    network = _Features(_without_minibatch(fused(discriminator)), layout)
    return ExportSpec("features", network, image_spec, outputs, expected, draw)


def _generator(generator: Generator, image_spec: TensorSpec, layout: str) -> ExportSpec:
    @torch.no_grad()
    def expected(latents: Tensor) -> tuple[Tensor, ...]:
        images = generator(latents)
        return (images.movedim(1, 3) if layout == "nhwc" else images,)

    source = torch.Generator().manual_seed(0)
    latents = generator.draw_latents(1000, source=source)
    latent_spec = TensorSpec("latents", "float32", ("N", latents.shape[1]), _distribution(latents))
    meaning = "in [0, 1]; round(255 x) are the pixels"
    outputs = (TensorSpec("images", "float32", image_spec.shape, meaning),)

    def draw(num: int) -> Tensor:
        return generator.draw_latents(num, source=source)

    return ExportSpec("generator", _Generator(fused(generator), layout), latent_spec, outputs, expected, draw)


def _pixels(images: Tensor, layout: str) -> Tensor:
    """The network's input, as `data.to_float01` computes it in training and in `classify`."""
    return (images.movedim(3, 1) if layout == "nhwc" else images).to(torch.float32).div(255)


def _draw_images(generator: Generator | None, image_spec: TensorSpec, layout: str) -> _Draw:
    """Half noise, half generated images, which are of the distribution of the training; without a generator noise."""
    source = torch.Generator().manual_seed(0)

    @torch.no_grad()
    def draw(num: int) -> Tensor:
        shape = tuple(int(size) for size in image_spec.shape[1:])
        noise = torch.randint(0, 256, (num, *shape), dtype=torch.uint8, generator=source)
        if generator is None:
            return noise
        made = generator(generator.draw_latents(num, source=source)).mul(255).round().clamp(0, 255).to(torch.uint8)
        made = made.movedim(1, 3) if layout == "nhwc" else made
        return torch.cat([made[: num - num // 2], noise[: num // 2]])

    return draw


def _distribution(latents: Tensor) -> str:
    low, high, std = latents.min().item(), latents.max().item(), latents.std().item()
    if math.isclose(std, (high - low) / math.sqrt(12), rel_tol=0.03):
        return f"independent, uniform in [{round(low, 2) + 0:g}, {round(high, 2):g}]"
    return f"independent, mean {latents.mean().item():.3g}, standard deviation {std:.3g}"


def _check_batch_independence(made: ExportSpec) -> None:
    """Compare four images in three batches: with others, with copies of themselves, and alone."""
    rows = made.draw(8)
    among_others = made.expected(rows)
    for batch in (torch.cat([rows[:4], rows[:4]]), rows[:4]):
        for facts, here, there in zip(made.outputs, among_others, made.expected(batch), strict=True):
            if (here[:4] - there[:4]).abs().max() > 1e-4 * max(1.0, here.abs().max().item()):
                raise ExportError(
                    f"{facts.name} of an image change with the other images of its batch (minibatch features, paper, "
                    "section 3.2, compare them), so outputs of an exported file would depend on the batch: train "
                    "the feature-matching variant of the recipe for a classifier, or export another --head"
                )
