"""Select networks and settings for the data, derived from the recipes; they can be described and stored as JSON."""

from collections.abc import Callable
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from improved_gan.estimator.layout import Layout
from improved_gan.networks.convolutional import ConvolutionalDiscriminator, ConvolutionalGenerator
from improved_gan.networks.dense import DenseDiscriminator, DenseGenerator
from improved_gan.networks.interface import Discriminator, Generator
from improved_gan.recipes import RECIPES, Recipe

__all__ = ["NETWORKS", "Architecture", "select_architecture"]

NETWORKS = ("auto", "dense", "convolutional")
_SMALL = 256  # numbers in an example, up to which the narrow networks do
_DENSE = 10_000  # and beyond which dense networks of images are not chosen
_PAIRS: dict[str, tuple[Callable[..., Generator], Callable[..., Discriminator]]] = {
    "dense": (DenseGenerator, DenseDiscriminator),
    "convolutional": (ConvolutionalGenerator, ConvolutionalDiscriminator),
}
# Training steps where `epochs` is None; an epoch is as many steps as the unlabeled examples fill batches.
_STEPS = {"digits": 1500, "mnist-released": 6000, "cifar10-released": 6000}
_SMALLEST, _LARGEST = 12, 128  # sides of images that the convolutional pair is made for
_WIDTHS = (16, 32, 64, 128)  # of the discriminator's stages; small images take the last two


@dataclass(frozen=True)
class Architecture:
    """A pair of networks with their settings, all of it JSON.

    Args:
        network: the kind of pair.
        recipe: the recipe whose settings it starts from.
        image_shape: (C, H, W).
        num_classes: K.
        generator, discriminator: settings of the two networks.
    """

    network: str
    recipe: str
    image_shape: tuple[int, int, int]
    num_classes: int
    generator: dict[str, Any] = field(default_factory=dict)
    discriminator: dict[str, Any] = field(default_factory=dict)

    def build_generator(self) -> Generator:
        """A new generator."""
        return _PAIRS[self.network][0](image_shape=self.image_shape, **self.generator)

    def build_discriminator(self) -> Discriminator:
        """A new discriminator."""
        build = _PAIRS[self.network][1]
        return build(image_shape=self.image_shape, num_classes=self.num_classes, **self.discriminator)

    def to_recipe(self, num_labels: int, **settings: Any) -> Recipe:
        """The recipe that these networks come from, with them in it and `settings` replaced."""
        return replace(
            RECIPES[self.recipe](num_labels),
            name="estimator",
            generator=self.build_generator,
            discriminator=self.build_discriminator,
            image_shape=self.image_shape,
            num_classes=self.num_classes,
            **settings,
        )

    def epochs(self, steps_per_epoch: int) -> int:
        """How many epochs make the usual number of steps."""
        return max(1, -(-_STEPS[self.recipe] // steps_per_epoch))

    def describe(self) -> str:
        """In words."""
        widths = "-".join(map(str, self.discriminator["hidden" if self.network == "dense" else "widths"]))
        return f"{self.network} pair ({widths}), settings of recipe {self.recipe}"

    def as_dict(self) -> dict[str, Any]:
        """As JSON."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> "Architecture":
        """The inverse of `as_dict`."""
        return cls(**{**values, "image_shape": tuple(values["image_shape"])})


def select_architecture(
    layout: Layout, num_classes: int, *, network: str = "auto", columns: bool = False
) -> Architecture:
    """Networks for examples of this layout.

    Color images, and images larger than 32x32: the convolutional pair of the recipe `cifar10-released`, narrower, with
    a stage more for each doubling of the size; their sides must be multiples of 4 (others of up to 10,000 numbers take
    a dense pair). All else: up to 256 numbers an example the narrow dense pair of `digits`, above it the dense pair of
    `mnist-released`. The narrow pair has half of the input noise on tables (each column with a scale of its own).

    Raises:
        ValueError: an unknown network, or images that the convolutional pair is not made for.
    """
    if network not in NETWORKS:
        raise ValueError(f"network must be one of {', '.join(NETWORKS)}; got {network!r}")
    channels, height, width = layout.shape
    fits = _fits_convolutions(layout) or channels * height * width > _DENSE
    if network == "convolutional" or (network == "auto" and _wants_convolutions(layout) and fits):
        return _convolutional(layout, num_classes)
    if channels * height * width > _SMALL:
        hidden: list[int] = [1000, 500, 250, 250, 250]
        return Architecture(
            "dense", "mnist-released", layout.shape, num_classes, {"latent_size": 100}, {"hidden": hidden}
        )
    noises = {"input_noise": 0.1, "hidden_noise": 0.3} if columns else {"input_noise": 0.2, "hidden_noise": 0.3}
    return Architecture(
        "dense",
        "digits",
        layout.shape,
        num_classes,
        {"latent_size": 50, "hidden": [128, 128]},
        {"hidden": [256, 128, 128], **noises},
    )


def _wants_convolutions(layout: Layout) -> bool:
    channels, height, width = layout.shape
    large = max(height, width) > 32
    return layout.is_image and (large or (channels > 1 and min(height, width) >= _SMALLEST))


def _fits_convolutions(layout: Layout) -> bool:
    return layout.is_image and all(_SMALLEST <= side <= _LARGEST and side % 4 == 0 for side in layout.shape[1:])


def _convolutional(layout: Layout, num_classes: int) -> Architecture:
    _, height, width = layout.shape
    shorter = min(height, width)
    if not _fits_convolutions(layout):
        raise ValueError(
            f"the convolutional networks take images with sides of {_SMALLEST} to {_LARGEST} pixels, multiples of 4; "
            f"got {height} x {width}: scale or pad the images (32, 64 or 128 pixels are best), or take network='dense'"
        )
    stages = 2 + (shorter > 32) + (shorter > 64)
    doublings = max(n for n in range(1, stages + 2) if height % 2**n == width % 2**n == 0 and shorter >= 3 * 2**n)
    widths = _WIDTHS[-stages:]
    generator = [2 * width for width in (*_WIDTHS[:1], *_WIDTHS)][-doublings:][::-1]
    return Architecture(
        "convolutional",
        "cifar10-released",
        layout.shape,
        num_classes,
        {"latent_size": 100, "widths": generator},
        {"widths": list(widths), "convolutions": 2},
    )
