"""Which networks and which settings suit the data: derived from the recipes, said in words, stored as JSON."""

from collections.abc import Callable
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from improved_gan.estimator.layout import Layout
from improved_gan.models import DenseDiscriminator, DenseGenerator, Discriminator, Generator
from improved_gan.recipes import Recipe, digits, mnist

__all__ = ["NETWORKS", "Choice", "choose"]

NETWORKS = ("auto", "dense")
_SMALL = 256  # numbers in an example, up to which the narrow networks do
_PAIRS: dict[str, tuple[Callable[..., Generator], Callable[..., Discriminator]]] = {
    "dense": (DenseGenerator, DenseDiscriminator),
}
# Training steps where `epochs` is None; an epoch is as many steps as the unlabelled examples fill batches.
_STEPS = {"digits": 1500, "mnist": 6000}


@dataclass(frozen=True)
class Choice:
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
        base = {"digits": digits, "mnist": mnist}[self.recipe](num_labels)
        return replace(
            base, name="estimator", generator=self.build_generator, discriminator=self.build_discriminator, **settings
        )

    def epochs(self, steps_per_epoch: int) -> int:
        """How many epochs make the usual number of steps."""
        return max(1, -(-_STEPS[self.recipe] // steps_per_epoch))

    def describe(self) -> str:
        """In words."""
        widths = "-".join(map(str, self.discriminator.get("hidden", ())))
        return f"{self.network} pair ({widths}), settings of recipe {self.recipe}"

    def as_dict(self) -> dict[str, Any]:
        """As JSON."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> "Choice":
        """The inverse of `as_dict`."""
        return cls(**{**values, "image_shape": tuple(values["image_shape"])})


def choose(layout: Layout, num_classes: int, *, network: str = "auto", columns: bool = False) -> Choice:
    """Networks for examples of this layout.

    Up to 256 numbers an example: the narrow dense pair of the recipe `digits`; more: the dense pair of `mnist`. Tables
    (each column with a scale of its own) get less noise.

    Raises:
        ValueError: an unknown network.
    """
    if network not in NETWORKS:
        raise ValueError(f"network must be one of {', '.join(NETWORKS)}; got {network!r}")
    channels, height, width = layout.shape
    if channels * height * width > _SMALL:
        hidden: list[int] = [1000, 500, 250, 250, 250]
        return Choice("dense", "mnist", layout.shape, num_classes, {"latent_size": 100}, {"hidden": hidden})
    noises = {"input_noise": 0.1, "hidden_noise": 0.3} if columns else {"input_noise": 0.2, "hidden_noise": 0.3}
    return Choice(
        "dense",
        "digits",
        layout.shape,
        num_classes,
        {"latent_size": 50, "hidden": [128, 128]},
        {"hidden": [256, 128, 128], **noises},
    )
