"""
Averaged weights in Accelerate
==============================

An average of the generator's weights in Hugging Face Accelerate (pip install accelerate)::

    python examples/accelerate_gan.py          # or: accelerate launch examples/accelerate_gan.py

The average follows the unwrapped network. It prints the Fréchet distance (of pixels) between samples and the digits,
with the last weights and with the averaged ones, which `swapped` puts into the network for a moment.
"""

import argparse
from itertools import cycle, islice

import torch
from accelerate import Accelerator
from torch import Tensor, nn
from torch.utils.data import DataLoader, TensorDataset

import dcgan
from improved_gan.metrics import feature_frechet_distance
from improved_gan.techniques import WeightEMA, adversarial_discriminator_loss, non_saturating_generator_loss


@torch.no_grad()
def distance(generator: nn.Module, images: Tensor) -> float:
    latents = torch.randn(1000, dcgan.LATENTS, generator=torch.Generator().manual_seed(1)).to(images.device)
    return feature_frechet_distance(generator(latents).flatten(1), images.flatten(1))


def main(arguments: list[str] | None = None) -> tuple[float, float]:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", type=int, default=600)
    options = parser.parse_args(arguments)
    torch.manual_seed(0)
    accelerator = Accelerator(cpu=not torch.cuda.is_available())
    networks = dcgan.make_discriminator(), dcgan.make_generator()
    optimizers = [torch.optim.Adam(network.parameters(), 1e-3, (0.5, 0.999)) for network in networks]
    images = dcgan.digits()[0][:1297]
    data = DataLoader(TensorDataset(images), dcgan.BATCH, shuffle=True, drop_last=True)
    discriminator, generator, *optimizers, data = accelerator.prepare(*networks, *optimizers, data)
    network = accelerator.unwrap_model(generator)
    average = WeightEMA(network, 0.98, use_buffers=True)  # about the last 50 steps, batch norm's statistics too
    for (real,) in islice(cycle(data), options.steps):
        generated = generator(torch.randn(len(real), dcgan.LATENTS, device=accelerator.device))
        # One pass over both batches: under DDP a network runs once in a step.
        logits = discriminator(torch.cat([real, generated.detach()])).chunk(2)
        optimizers[0].zero_grad()
        accelerator.backward(adversarial_discriminator_loss(*logits))
        optimizers[0].step()
        optimizers[1].zero_grad()
        accelerator.backward(non_saturating_generator_loss(discriminator(generated)))
        optimizers[1].step()
        average.update()
    images = images.to(accelerator.device)
    last = distance(network.eval(), images)
    with average.swapped(network):
        averaged = distance(network, images)
    accelerator.print(f"Fréchet distance of pixels: last weights {last:.2f}, averaged weights {averaged:.2f}")
    return last, averaged


if __name__ == "__main__":
    main()
