"""
Feature matching in a small vocoder
===================================

A vocoder in small: HiFi-GAN-like discriminators of sound with feature matching of pairs, on synthesized sweeps::

    python examples/hifi_gan.py               # with feature matching; --plain without

The generator renders a sine sweep from its pitch and phase at each 16th sample. Each discriminator sees
the sound folded by a period (Kong et al., 2020); feature matching compares the feature maps of all their layers between
each sound and its rendering. It prints the mean distance of log-magnitude spectra, in decibels.
"""

import argparse

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from improved_gan.techniques import (
    feature_matching_loss,
    least_squares_discriminator_loss,
    least_squares_generator_loss,
)

HOP, FRAMES = 16, 32  # samples a frame, frames a sound
Maps = list[list[Tensor]]  # discriminator x layer


def sweeps(num: int) -> tuple[Tensor, Tensor]:
    """Pitch in radians a sample, sine and cosine of the phase, (num, 3, FRAMES); and the sound (num, 1, FRAMES HOP)."""
    ends = 0.1 + 0.9 * torch.rand(num, 2, 1)
    pitch = ends[:, :1] + (ends[:, 1:] - ends[:, :1]) * torch.linspace(0, 1, FRAMES)
    phase = F.interpolate(pitch, scale_factor=HOP, mode="linear").cumsum(2)
    at_frames = phase[:, :, HOP // 2 :: HOP]
    return torch.cat([pitch, at_frames.sin(), at_frames.cos()], 1), phase.sin()


class PeriodDiscriminators(nn.Module):
    """Sound (N, 1, T) to each one's logits (N times positions,) and feature maps."""

    def __init__(self, periods: tuple[int, ...] = (2, 3, 5)) -> None:
        super().__init__()
        self.periods = periods
        sizes = ((1, 8), (8, 16), (16, 16))
        layers = [nn.ModuleList(nn.Conv2d(i, o, (5, 1), (3, 1), (2, 0)) for i, o in sizes) for _ in periods]
        self.layers, self.heads = nn.ModuleList(layers), nn.ModuleList(nn.Conv2d(16, 1, (3, 1)) for _ in periods)

    def forward(self, sound: Tensor) -> tuple[list[Tensor], Maps]:
        logits, maps = [], []
        for period, layers, head in zip(self.periods, self.layers, self.heads, strict=True):
            hidden = F.pad(sound, (0, -sound.shape[2] % period)).view(len(sound), 1, -1, period)
            maps.append([hidden := F.leaky_relu(layer(hidden), 0.1) for layer in layers.children()])
            logits.append(head(hidden).flatten())  # one logit a position: each counts
        return logits, maps


def make_generator() -> nn.Sequential:
    start = nn.Conv1d(3, 32, 5, padding=2), nn.LeakyReLU(0.1), nn.ConvTranspose1d(32, 32, 8, 4, 2), nn.LeakyReLU(0.1)
    return nn.Sequential(*start, nn.ConvTranspose1d(32, 16, 8, 4, 2), nn.LeakyReLU(0.1), nn.Conv1d(16, 1, 7, padding=3))


def decibels(sound: Tensor) -> Tensor:
    spectrum = torch.stft(sound.squeeze(1), 64, window=torch.hann_window(64), return_complex=True)
    return 20 * (spectrum.abs() + 1e-2).log10()


def main(arguments: list[str] | None = None) -> float:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", type=int, default=400)
    parser.add_argument("--plain", action="store_true")
    options = parser.parse_args(arguments)
    torch.manual_seed(0)
    networks = PeriodDiscriminators(), make_generator()
    discriminators, generator = networks
    optimizers = [torch.optim.AdamW(network.parameters(), 1e-3, (0.8, 0.99)) for network in networks]
    for _ in range(options.steps):
        frames, real = sweeps(8)
        generated = generator(frames)
        loss = least_squares_discriminator_loss(discriminators(real)[0], discriminators(generated.detach())[0])
        descend(optimizers[0], loss)
        logits, maps = discriminators(generated)
        loss = least_squares_generator_loss(logits, reduction="sum")
        if not options.plain:
            loss = loss + 2 * feature_matching_loss(
                discriminators(real)[1], maps, variant="pairwise-l1", reduction="sum"
            )
        descend(optimizers[1], loss)
    frames, real = sweeps(64)
    with torch.no_grad():
        distance = (decibels(generator(frames)) - decibels(real)).abs().mean().item()
    print(f"distance of log spectra: {distance:.2f} dB")
    return distance


def descend(optimizer: torch.optim.Optimizer, loss: Tensor) -> None:
    optimizer.zero_grad()
    loss.backward()  # type: ignore[no-untyped-call]
    optimizer.step()


if __name__ == "__main__":
    main()
