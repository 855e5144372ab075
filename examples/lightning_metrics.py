"""
Metrics during training: Lightning
==================================

Fréchet distance, CMMD, density and coverage in PyTorch Lightning, in a `torchmetrics.MetricCollection` beside its
metrics (pip install lightning torchmetrics)::

    python examples/lightning_metrics.py --devices 2      # gloo on CPUs

`compute` merges the shares of all processes by itself, and each process keeps its own. The features are pixels here.
"""

import argparse

import lightning
import torch
from lightning.pytorch.strategies import DDPStrategy
from torch import Tensor
from torch.utils.data import DataLoader, TensorDataset
from torchmetrics import MetricCollection

import dcgan
from improved_gan.metrics.torchmetrics_adapter import as_torchmetric
from lightning_gan import Gan
from metrics_in_loops import TRAINING, metrics, shares


class MeasuredGan(Gan):
    """The GAN of lightning_gan.py, measured after each epoch."""

    def __init__(self) -> None:
        super().__init__(plain=True)
        self.metrics = MetricCollection({}, compute_groups=False)
        self.metrics.add_metrics({name: as_torchmetric(metric) for name, metric in metrics().items()})

    def validation_step(self, batch: list[Tensor], _: int) -> None:
        for features, real in zip(shares(self.generator), (True, False), strict=True):
            self.metrics.update(features, real=real)

    def on_validation_epoch_end(self) -> None:
        self.log_dict(self.metrics.compute())  # the same on all processes
        self.metrics.reset()


def main(arguments: list[str] | None = None) -> dict[str, float]:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--devices", type=int, default=1)
    parser.add_argument("--epochs", type=int, default=3)
    options = parser.parse_args(arguments)
    lightning.seed_everything(0, verbose=False)
    data = DataLoader(TensorDataset(TRAINING[:1280]), 2 * dcgan.BATCH // options.devices, shuffle=True, drop_last=True)
    several = DDPStrategy(process_group_backend="gloo", start_method="fork", find_unused_parameters=True)
    trainer = lightning.Trainer(
        max_epochs=options.epochs, accelerator="cpu", devices=options.devices, logger=False,
        strategy=several if options.devices > 1 else "auto", enable_checkpointing=False, enable_progress_bar=False,
        enable_model_summary=False, num_sanity_val_steps=0,
    )  # fmt: skip
    gan = MeasuredGan()
    once = DataLoader(TensorDataset(torch.zeros(options.devices)))  # validation_step chooses its images itself
    trainer.fit(gan, data, once) if options.epochs else trainer.validate(gan, once, verbose=False)
    names = "fd", "cmmd", "density", "coverage"
    found = {name: trainer.callback_metrics[name].item() for name in names}
    print("  ".join(f"{name} {value:.3f}" for name, value in found.items()), f"of {trainer.world_size} processes")
    return found


if __name__ == "__main__":
    main()
