"""Length and learning rate of a run, and how often it reports, samples and saves."""

from dataclasses import dataclass

import torch

__all__ = ["Schedule"]


@dataclass(frozen=True)
class Schedule:
    """Length and learning rate of a run, and how often it reports, samples and saves.

    Args:
        epochs: length of the run.
        learning_rate: of both networks.
        lr_decay_fraction: over this fraction of the run, at its end, it falls linearly to 0, in steps of an epoch.
        report_every: epochs between reports (with evaluation).
        sample_every: epochs between grids of samples.
        save_every_seconds: time between checkpoints; also saved at the end and at a stop.
        precision: of the forward passes, float32 or bfloat16.
        generator_steps: generator updates per discriminator update.
        micro_batch: maximum number of rows in a forward pass; 0 for the whole batch.
        eval_every: epochs between evaluations of samples, at reports only; 0 evaluates them at the end only.
    """

    epochs: int
    learning_rate: float
    lr_decay_fraction: float = 0.0
    report_every: int = 1
    sample_every: int = 10
    save_every_seconds: float = 60.0
    precision: torch.dtype = torch.float32
    generator_steps: int = 1
    micro_batch: int = 0
    eval_every: int = 0

    def scored_epochs(self) -> range:
        """The epochs whose reports evaluate samples, besides the last one.

        >>> list(Schedule(epochs=5, learning_rate=1.0, eval_every=2).scored_epochs())
        [2, 4]
        """
        return range(self.eval_every, self.epochs + 1, self.eval_every) if self.eval_every else range(0)

    def lr(self, epoch: int) -> float:
        """The learning rate of an epoch, counted from 0.

        >>> schedule = Schedule(epochs=4, learning_rate=1.0, lr_decay_fraction=0.5)
        >>> [schedule.lr(epoch) for epoch in range(4)]
        [1.0, 1.0, 1.0, 0.5]
        """
        return self.learning_rate * min(1.0, (self.epochs - epoch) / max(1.0, self.lr_decay_fraction * self.epochs))
