"""
Metrics during training: DDP and Ignite
=======================================

Fréchet distance, CMMD, density and coverage of a DCGAN's samples after each epoch, on several processes, in a plain
loop with DDP or in Ignite (pip install pytorch-ignite)::

    torchrun --nproc-per-node 2 examples/metrics_in_loops.py --loop plain    # or ignite; gloo on CPUs

Each process measures its share of the test digits and of the samples; shares may differ in size, so no image counts
twice. `merge_ranks` adds them up: the numbers are those of one process. The features are pixels here.
"""

import argparse
import os
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

import dcgan
from improved_gan.distributed import rank, world_size
from improved_gan.metrics import FeatureMetric, FrechetDistance, cmmd, density_coverage

TRAINING, TEST = torch.split(dcgan.digits()[0], [1297, 500])


def metrics() -> dict[str, Any]:
    return {"fd": FrechetDistance(64), "cmmd": FeatureMetric(cmmd), "density": FeatureMetric(density_coverage)}


@torch.no_grad()
def shares(generator: nn.Module) -> tuple[Tensor, Tensor]:
    """Features of this process' part of the real images and of the samples; the same images in each epoch."""
    latents = torch.randn(500, dcgan.LATENTS, generator=torch.Generator().manual_seed(0))
    samples = generator.eval()(latents[rank() :: world_size()])
    generator.train()
    return TEST[rank() :: world_size()].flatten(1), samples.flatten(1)


def measure(generator: nn.Module) -> dict[str, Any]:
    found, (real, samples) = {}, shares(generator)
    for name, metric in metrics().items():
        metric.update(real, real=True)
        metric.update(samples, real=False)
        metric.merge_ranks()  # on all processes
        found[name] = metric.compute()
    return found


def make_training() -> tuple[nn.Module, Callable[..., None]]:
    """A generator and its step, which averages the gradients of all processes."""
    discriminator, generator = plain = dcgan.make_discriminator(), dcgan.make_generator()
    trained = [DistributedDataParallel(one) for one in plain] if world_size() > 1 else plain
    optimizers = [torch.optim.Adam(one.parameters(), 1e-3, (0.5, 0.999)) for one in plain]

    def step(engine: Any, real: Tensor) -> None:
        generated = trained[1](torch.randn(len(real), dcgan.LATENTS))
        both = trained[0](torch.cat([real, generated.detach()]))  # DDP takes one forward pass for one backward pass
        target = torch.cat([torch.ones(len(real)), torch.zeros(len(real))])
        dcgan.descend(optimizers[0], nn.functional.binary_cross_entropy_with_logits(both, target))
        dcgan.descend(optimizers[1], dcgan.generator_loss(discriminator, real, generated))

    return generator, step


def main(arguments: list[str] | None = None) -> list[dict[str, Any]]:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--loop", choices=("plain", "ignite"), default="plain")
    parser.add_argument("--epochs", type=int, default=3)
    options = parser.parse_args(arguments)
    if "RANK" in os.environ and not torch.distributed.is_initialized():
        torch.distributed.init_process_group("gloo")
    torch.manual_seed(0)
    generator, step = make_training()
    torch.manual_seed(rank())  # other latents on each process
    found, batches = [measure(generator)], torch.split(TRAINING[rank() : 1280 : world_size()], dcgan.BATCH)
    if options.loop == "ignite":
        from ignite.engine import Engine, Events

        engine = Engine(step)
        engine.add_event_handler(Events.EPOCH_COMPLETED, lambda: found.append(measure(generator)))
        engine.run(batches, options.epochs)
    else:
        for _ in range(options.epochs):
            for real in batches:
                step(None, real)
            found.append(measure(generator))
    for epoch, one in enumerate(found if rank() == 0 else []):
        print(f"epoch {epoch}: FD {one['fd']:.3f}  CMMD {one['cmmd']:.3f}  density {one['density'].density:.3f}")
    return found


if __name__ == "__main__":
    main()
