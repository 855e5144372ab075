"""
A VAE with a patch discriminator
================================

A tiny VAE on 8 x 8 digits with a patch discriminator: hinge losses and feature matching of pairs, as in VQGAN::

    python examples/patch_gan_vae.py          # --plain: without the discriminator

A VAE alone reconstructs blurred digits. The patch discriminator (Isola et al., 2017) has one logit a patch; its feature
maps of an image and of its reconstruction are compared as pairs. It prints the contrast of neighboring pixels in the
reconstructions, as a share of that of the digits (1 is as sharp as they are), and the mean squared error.
"""

import argparse

import torch
import torch.nn.functional as F
from torch import Tensor, nn

import dcgan
from improved_gan.techniques import feature_matching_loss, hinge_discriminator_loss, hinge_generator_loss


class Vae(nn.Module):
    """Images (N, 1, 8, 8) to reconstructions, and the KL divergence of the code, (N, 8), to a normal one."""

    def __init__(self, code: int = 8) -> None:
        super().__init__()
        self.encoder = nn.Sequential(nn.Flatten(), nn.Linear(64, 128), nn.ReLU(), nn.Linear(128, 2 * code))
        self.decoder = nn.Sequential(nn.Linear(code, 128), nn.ReLU(), nn.Linear(128, 64), nn.Unflatten(1, (1, 8, 8)))

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        mean, log_variance = self.encoder(images).chunk(2, 1)
        code = mean + torch.randn_like(mean) * (0.5 * log_variance).exp()
        divergence = 0.5 * (mean.square() + log_variance.exp() - 1 - log_variance).sum(1).mean()
        return self.decoder(code).sigmoid(), divergence


class PatchDiscriminator(nn.Module):
    """Images to one logit a patch, flat, and the feature maps of each layer ("NLayerDiscriminator")."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.ModuleList([nn.Conv2d(1, 32, 3, padding=1), nn.Conv2d(32, 32, 4, 2, 1)])
        self.head = nn.Conv2d(32, 1, 3, padding=1)

    def forward(self, images: Tensor) -> tuple[Tensor, list[Tensor]]:
        hidden = images
        maps = [hidden := F.leaky_relu(layer(hidden), 0.2) for layer in self.layers]
        return self.head(hidden).flatten(), maps


def contrast(images: Tensor) -> float:
    return (images[..., 1:] - images[..., :-1]).abs().mean().item()


def main(arguments: list[str] | None = None) -> tuple[float, float]:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", type=int, default=800)
    parser.add_argument("--plain", action="store_true")
    options = parser.parse_args(arguments)
    torch.manual_seed(0)
    images, vae, discriminator = dcgan.digits()[0], Vae(), PatchDiscriminator()
    optimizers = [torch.optim.Adam(network.parameters(), 2e-3, (0.5, 0.9)) for network in (discriminator, vae)]
    for _ in range(options.steps):
        real = images[torch.randint(1297, (dcgan.BATCH,))]
        generated, divergence = vae(real)
        loss = (generated - real).square().sum((1, 2, 3)).mean() + 0.1 * divergence
        if not options.plain:
            logits = discriminator(real)[0], discriminator(generated.detach())[0]
            dcgan.descend(optimizers[0], hinge_discriminator_loss(*logits))
            logits, maps = discriminator(generated)
            loss = loss + 0.2 * hinge_generator_loss(logits)
            loss = loss + 4 * feature_matching_loss(discriminator(real)[1], maps, variant="pairwise-l1")
        dcgan.descend(optimizers[1], loss)
    with torch.no_grad():
        generated = vae(images[1297:])[0]
    share = contrast(generated) / contrast(images[1297:])
    error = (generated - images[1297:]).square().mean().item()
    print(f"contrast {share:.2f} of the digits', mean squared error {error:.4f}")
    return share, error


if __name__ == "__main__":
    main()
