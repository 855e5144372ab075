"""
Minibatch standard deviation in a StyleGAN-like discriminator
=============================================================

The last blocks of a StyleGAN-like discriminator and minibatch standard deviation (Karras et al., 2018)::

    python examples/style_gan_block.py

The discriminator learns to tell batches of 16 different digits from batches with 16 copies of one digit: what a
generator that collapsed produces. It sees one image at a time unless a layer compares them. It prints the share of
images that it assigns to the right kind of batch, 50% by chance, and writes the curve with --out.
"""

import argparse
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn

import dcgan
from improved_gan.techniques import MinibatchStandardDeviation, adversarial_discriminator_loss


class Block(nn.Module):
    """A residual block that halves height and width: (N, C, H, W) -> (N, C', H/2, W/2)."""

    def __init__(self, channels: int, out: int) -> None:
        super().__init__()
        self.first, self.second = nn.Conv2d(channels, channels, 3, padding=1), nn.Conv2d(channels, out, 3, padding=1)
        self.shortcut = nn.Conv2d(channels, out, 1, bias=False)

    def forward(self, values: Tensor) -> Tensor:
        hidden = F.leaky_relu(self.second(F.leaky_relu(self.first(values), 0.2)), 0.2)
        output: Tensor = (F.avg_pool2d(hidden, 2) + self.shortcut(F.avg_pool2d(values, 2))) * 0.5**0.5
        return output


def make_discriminator(*, compares: bool) -> nn.Sequential:
    blocks = nn.Conv2d(1, 16, 1), nn.LeakyReLU(0.2), Block(16, 32)
    layer = [MinibatchStandardDeviation(group_size=4)] if compares else []
    head = nn.Conv2d(32 + compares, 32, 3, padding=1), nn.LeakyReLU(0.2), nn.Flatten(), nn.Linear(32 * 4 * 4, 1)
    return nn.Sequential(*blocks, *layer, *head, nn.Flatten(0))


def batches(images: Tensor) -> tuple[Tensor, Tensor]:
    """16 different digits, and 16 copies of one."""
    return images[torch.randint(len(images), (16,))], images[torch.randint(len(images), (1,))].expand(16, -1, -1, -1)


def curve(steps: int, images: Tensor, *, compares: bool) -> list[float]:
    """The share of right answers in each step, before its update."""
    torch.manual_seed(0)
    discriminator = make_discriminator(compares=compares)
    optimizer, shares = torch.optim.Adam(discriminator.parameters(), 2e-3, (0.5, 0.99)), []
    for _ in range(steps):
        logits = [discriminator(batch) for batch in batches(images)]
        shares.append(torch.cat([logits[0] > 0, logits[1] <= 0]).float().mean().item())
        dcgan.descend(optimizer, adversarial_discriminator_loss(*logits))
    return shares


def main(arguments: list[str] | None = None) -> tuple[float, float]:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", type=int, default=300)
    parser.add_argument("--out", type=Path, default=None, help="a PNG of both curves (needs matplotlib)")
    options = parser.parse_args(arguments)
    images = dcgan.digits()[0][:1297]
    curves = {name: curve(options.steps, images, compares=name == "with") for name in ("without", "with")}
    last = {name: sum(shares[-20:]) / 20 for name, shares in curves.items()}
    print(f"right, last 20 steps: without {last['without']:.0%}, with minibatch standard deviation {last['with']:.0%}")
    if options.out is not None:
        from matplotlib import pyplot as plt

        for name, shares in curves.items():
            plt.plot(shares, label=f"{name} minibatch standard deviation")
        plt.legend()
        plt.savefig(options.out)
    return last["without"], last["with"]


if __name__ == "__main__":
    main()
