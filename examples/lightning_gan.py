"""
Feature matching in Lightning
=============================

Feature matching in PyTorch Lightning, with manual optimization and DDP on two processes (pip install lightning)::

    python examples/lightning_gan.py --devices 2              # gloo on CPUs; --plain for the adversarial loss

Two things make a GAN work under Lightning's DDP. One optimizer's parameters are frozen while the other's loss is
computed (`toggle_optimizer`), and DDP must look for parameters without a gradient (`find_unused_parameters`). The
feature means are those of all processes: `feature_matching_loss` reduces them itself.

It prints the distance of the mean discriminator features of generated and of real digits.
"""

import argparse
from collections.abc import Callable

import lightning
import torch
from lightning.pytorch.strategies import DDPStrategy
from torch import Tensor
from torch.utils.data import DataLoader, TensorDataset

import dcgan
from improved_gan.techniques import feature_matching_loss


class Gan(lightning.LightningModule):  # type: ignore[misc]
    """The DCGAN of dcgan.py; the discriminator's features are all but its last linear layer."""

    def __init__(self, *, plain: bool = False) -> None:
        super().__init__()
        self.automatic_optimization = False
        self.plain = plain
        self.generator, self.discriminator = dcgan.make_generator(), dcgan.make_discriminator()

    def configure_optimizers(self) -> list[torch.optim.Optimizer]:
        networks = self.discriminator, self.generator
        return [torch.optim.Adam(network.parameters(), 1e-3, (0.5, 0.999)) for network in networks]

    def training_step(self, batch: list[Tensor], _: int) -> None:
        real, fresh = batch[0].chunk(2)  # feature matching takes other images than the discriminator's update
        generated = self.generator(torch.randn(len(real), dcgan.LATENTS))
        self.descend(0, lambda: dcgan.discriminator_loss(self.discriminator, real, generated.detach()))
        self.descend(1, lambda: self.generator_loss(fresh, generated))

    def generator_loss(self, real: Tensor, generated: Tensor) -> Tensor:
        features = self.discriminator[:-2]
        distance = feature_matching_loss(features(real), features(generated))
        self.log("feature_distance", distance.detach())  # the same in all processes
        return dcgan.generator_loss(self.discriminator, real, generated) if self.plain else distance

    def descend(self, index: int, loss: Callable[[], Tensor]) -> None:
        optimizer = self.optimizers()[index]
        self.toggle_optimizer(optimizer)
        optimizer.zero_grad()
        self.manual_backward(loss())
        optimizer.step()
        self.untoggle_optimizer(optimizer)


def main(arguments: list[str] | None = None) -> float:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--devices", type=int, default=1)
    parser.add_argument("--steps", type=int, default=300)
    parser.add_argument("--plain", action="store_true")
    options = parser.parse_args(arguments)
    lightning.seed_everything(0, verbose=False)
    gan, batch = Gan(plain=options.plain), 2 * dcgan.BATCH // options.devices
    data = DataLoader(TensorDataset(dcgan.digits()[0][:1280]), batch, shuffle=True, drop_last=True)
    several = DDPStrategy(process_group_backend="gloo", start_method="fork", find_unused_parameters=True)
    quiet = {
        "logger": False,
        "enable_checkpointing": False,
        "enable_progress_bar": False,
        "enable_model_summary": False,
    }
    strategy = several if options.devices > 1 else "auto"
    trainer = lightning.Trainer(
        max_steps=2 * options.steps, accelerator="cpu", devices=options.devices, strategy=strategy, **quiet
    )
    trainer.fit(gan, data)
    distance: float = trainer.callback_metrics["feature_distance"].item()
    print(f"feature distance {distance:.3f} after {options.steps} steps of {trainer.world_size} processes")
    return distance


if __name__ == "__main__":
    main()
