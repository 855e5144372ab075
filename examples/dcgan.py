"""
A plain DCGAN
=============

A plain DCGAN on 8 x 8 digits. Each dcgan_TECHNIQUE.py adds one technique in a few lines::

    python examples/dcgan.py --steps 600 --out dcgan.png
"""

import argparse
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path

import torch
import torch.nn.functional as F
from sklearn.datasets import load_digits
from torch import Tensor, nn

from improved_gan.training.sampling import grid, to_uint8, write_png

Loss = Callable[[nn.Sequential, Tensor, Tensor], Tensor]  # of discriminator, real and generated images
BATCH, LATENTS, FEATURES = 64, 64, 256


def make_generator() -> nn.Sequential:
    start = nn.Unflatten(1, (LATENTS, 1, 1)), nn.ConvTranspose2d(LATENTS, 64, 2), nn.BatchNorm2d(64), nn.ReLU()
    middle = nn.ConvTranspose2d(64, 32, 4, stride=2, padding=1), nn.BatchNorm2d(32), nn.ReLU()
    return nn.Sequential(*start, *middle, nn.ConvTranspose2d(32, 1, 4, stride=2, padding=1), nn.Sigmoid())


def make_discriminator() -> nn.Sequential:
    start = nn.Conv2d(1, 32, 3, stride=2, padding=1), nn.LeakyReLU(0.2)
    middle = nn.Conv2d(32, 64, 3, stride=2, padding=1), nn.LeakyReLU(0.2), nn.Flatten()
    return nn.Sequential(*start, *middle, nn.Linear(FEATURES, 1), nn.Flatten(0))


def discriminator_loss(discriminator: nn.Sequential, real: Tensor, generated: Tensor) -> Tensor:
    real_loss = F.binary_cross_entropy_with_logits(discriminator(real), torch.ones(len(real)))
    return real_loss + F.binary_cross_entropy_with_logits(discriminator(generated), torch.zeros(len(generated)))


def generator_loss(discriminator: nn.Sequential, real: Tensor, generated: Tensor) -> Tensor:
    return F.binary_cross_entropy_with_logits(discriminator(generated), torch.ones(len(generated)))


@dataclass(frozen=True)
class Gan:
    generator: nn.Module = field(default_factory=make_generator)
    discriminator: nn.Sequential = field(default_factory=make_discriminator)
    discriminator_loss: Loss = discriminator_loss
    generator_loss: Loss = generator_loss
    after_step: Callable[[], None] = lambda: None


def training(gan: Gan, images: Tensor) -> Iterator[tuple[float, float]]:
    optimizers = [torch.optim.Adam(net.parameters(), 1e-3, (0.5, 0.999)) for net in (gan.discriminator, gan.generator)]
    while True:
        real, fresh = images[torch.randint(len(images), (2, BATCH))]
        generated = gan.generator(torch.randn(BATCH, LATENTS))
        discriminator_loss = gan.discriminator_loss(gan.discriminator, real, generated.detach())
        descend(optimizers[0], discriminator_loss)
        generator_loss = gan.generator_loss(gan.discriminator, fresh, generated)
        descend(optimizers[1], generator_loss)
        gan.after_step()
        yield discriminator_loss.item(), generator_loss.item()


def descend(optimizer: torch.optim.Optimizer, loss: Tensor) -> None:
    optimizer.zero_grad()
    loss.backward()  # type: ignore[no-untyped-call]
    optimizer.step()


def digits() -> tuple[Tensor, Tensor]:
    images, labels = load_digits(return_X_y=True)
    return torch.tensor(images).float().view(-1, 1, 8, 8) / 16, torch.tensor(labels).long()


def main(make_gan: Callable[[], Gan] = Gan) -> Gan:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--steps", type=int, default=600)
    parser.add_argument("--out", type=Path, default=Path("dcgan.png"))
    options = parser.parse_args()
    torch.manual_seed(0)
    gan = make_gan()
    for step, losses in enumerate(islice(training(gan, digits()[0][:1297]), options.steps), start=1):
        if step % 100 == 0 or step == options.steps:
            print(f"step {step:5}  discriminator {losses[0]:.3f}  generator {losses[1]:.3f}")
    with torch.no_grad():
        write_png(options.out, grid(to_uint8(gan.generator.eval()(torch.randn(64, LATENTS)))))
    return gan


if __name__ == "__main__":
    main()
