"""
The R1 penalty in Ignite
========================

The R1 penalty in PyTorch-Ignite (pip install pytorch-ignite)::

    python examples/ignite_gan.py              # gamma=1; --gamma 0 is the plain DCGAN

The engine's iteration is the step of the lazy penalty. It prints the mean squared slope of the discriminator at the
digits, which the penalty bounds, and the Fréchet distance (of pixels) of samples.
"""

import argparse

import torch
from ignite.engine import Engine, Events
from torch import Tensor
from torch.utils.data import DataLoader, TensorDataset

import dcgan
from improved_gan.metrics import feature_frechet_distance
from improved_gan.techniques import gradient_penalty


def main(arguments: list[str] | None = None) -> tuple[float, float]:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", type=int, default=600)
    parser.add_argument("--gamma", type=float, default=1.0)
    options = parser.parse_args(arguments)
    torch.manual_seed(0)
    discriminator, generator = dcgan.make_discriminator(), dcgan.make_generator()
    networks = discriminator, generator
    optimizers = [torch.optim.Adam(network.parameters(), 1e-3, (0.5, 0.999)) for network in networks]
    images = dcgan.digits()[0][:1297]

    def step(engine: Engine, batch: list[Tensor]) -> float:
        (real,) = batch
        generated = generator(torch.randn(len(real), dcgan.LATENTS))
        loss = dcgan.discriminator_loss(discriminator, real, generated.detach())
        if options.gamma:
            number = engine.state.iteration - 1
            loss = loss + gradient_penalty(discriminator, real, gamma=options.gamma, step=number, every=4)
        dcgan.descend(optimizers[0], loss)
        dcgan.descend(optimizers[1], dcgan.generator_loss(discriminator, real, generated))
        return loss.item()

    engine = Engine(step)

    @engine.on(Events.ITERATION_COMPLETED(every=200))  # type: ignore[untyped-decorator]
    def log(engine: Engine) -> None:
        print(f"step {engine.state.iteration:5}  discriminator {engine.state.output:.3f}")

    data = DataLoader(TensorDataset(images), dcgan.BATCH, shuffle=True, drop_last=True)
    engine.run(data, max_epochs=-(-options.steps // len(data)), epoch_length=min(len(data), options.steps))
    slope = gradient_penalty(discriminator, images, gamma=2.0).item()
    with torch.no_grad():
        samples = generator.eval()(torch.randn(1000, dcgan.LATENTS))
    distance = feature_frechet_distance(samples.flatten(1), images.flatten(1))
    print(f"gamma {options.gamma}: mean squared slope {slope:.2f}, Fréchet distance of pixels {distance:.2f}")
    return slope, distance


if __name__ == "__main__":
    main()
