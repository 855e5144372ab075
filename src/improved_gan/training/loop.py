"""The loop around the step: reports, evaluation, samples, diagnostics, checkpoints, and a clean stop.

Over several ranks all take the same steps and the same decisions; rank 0 alone writes, displays and samples.

The order of saving and reporting makes the log complete and free of duplicates after a crash at any moment:

    end of an epoch    report (append to log.jsonl, samples), then a checkpoint if one is due
    resume             drop log lines after the checkpoint's step, repeat the steps from there
    slow evaluation    checkpoint, report with `score`, checkpoint: the first one has the accumulated terms of the
                       report (num_accumulated > 0), and `finish_pending_report` makes the report that is missing
"""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from improved_gan.distributed import all_reduce_max, gather_with_gradient, rank, single_process
from improved_gan.networks.interface import Generator
from improved_gan.training import diagnostics
from improved_gan.training.checkpoints import newest_checkpoint, save_checkpoint
from improved_gan.training.compilation import uncompiled
from improved_gan.training.errors import DivergedError, InterruptedRunError
from improved_gan.training.objectives import Objective, TrainingBatch
from improved_gan.training.reporting import Reporter
from improved_gan.training.run_folder import RunFolder
from improved_gan.training.sampling import grid, sample, write_png
from improved_gan.training.schedule import Schedule
from improved_gan.training.signals import StopRequest
from improved_gan.training.state import TrainingState, fork_rng_state
from improved_gan.training.step import train_step

__all__ = ["BatchSource", "Run", "take_steps", "train"]

_GRID_SEED, _NUM_GRID = 0, 100


class BatchSource(Protocol):
    """The source of batches; `data.Batches` is one. The order of an epoch depends on its number alone."""

    @property
    def steps_per_epoch(self) -> int:
        """The number of batches in an epoch."""

    def epoch(self, epoch: int, *, first_step: int = 0) -> Iterator[TrainingBatch]:
        """The batches of one epoch, from one of its steps on."""


def train(
    state: TrainingState,
    batches: BatchSource,
    objective: Objective,
    schedule: Schedule,
    *,
    folder: RunFolder,
    fingerprint: str,
    evaluate: Callable[[nn.Module], dict[str, float]],
    reporter: Reporter,
    stop: StopRequest,
    score: Callable[[Generator], dict[str, float]] | None = None,
) -> None:
    """Train from the state's step to the last epoch.

    Args:
        state: updated in place; has the final networks afterwards.
        batches: of each epoch.
        objective: the losses of both networks.
        schedule: epochs, learning rates, and how often to report.
        folder: where log, samples and checkpoints are written.
        fingerprint: of the run's settings, for its checkpoints.
        evaluate: returns numbers by `group/name` for the discriminator with averaged weights, for reports only; called
            on all ranks, which may divide the work.
        reporter: displays progress.
        stop: checked between steps.
        score: returns numbers by `samples/name` for the generator that makes samples, for reports only. It may be slow,
            so a checkpoint is written before it; a run that ends inside it resumes with the missing report. On all
            ranks or on none (`ProcessGroup.on_rank0`).

    Raises:
        DivergedError: a loss or a weight is not finite.
        InterruptedRunError: stopped on request, after saving.
        RunError: a checkpoint could not be saved.
    """
    run = Run(state, schedule, folder, fingerprint, evaluate, reporter, score)
    run.finish_pending_report(batches)
    for epoch, batch in take_steps(state, batches, objective, schedule):
        reporter.advance(state.means)
        # The report before the checkpoint of the same step: a resume from that checkpoint would not make it again.
        if state.step % batches.steps_per_epoch == 0:
            run.end_epoch(epoch + 1, batch)
        run.checkpoint_or_stop(stop)
    run.save()


def take_steps(
    state: TrainingState, batches: BatchSource, objective: Objective, schedule: Schedule
) -> Iterator[tuple[int, TrainingBatch]]:
    """Train step by step, from the state's step to the last epoch.

    Between steps the caller may do anything except change the discriminator's parameters, whose normalized weights are
    cached across steps.

    Yields:
        After each step its epoch, counted from 0, and its batch.
    """
    with state.discriminator.cache_weights_across_steps():
        for epoch in range(state.step // batches.steps_per_epoch, schedule.epochs):
            _set_lr(state, schedule.lr(epoch))
            started = time.perf_counter()
            for batch in batches.epoch(epoch, first_step=state.step % batches.steps_per_epoch):
                terms = train_step(
                    state.generator,
                    state.discriminator,
                    objective,
                    batch,
                    state.optimizers,
                    precision=schedule.precision,
                    generator_steps=schedule.generator_steps,
                    micro_batch=schedule.micro_batch,
                )
                state.average.update()
                state.add(terms)
                state.seconds += time.perf_counter() - started
                yield epoch, batch
                started = time.perf_counter()  # time between steps is not training; making batches is


@dataclass
class Run:
    """What happens between the steps of one run; the fields are the arguments of `train`.

    Where several runs are trained in one step, `number` is this one's index, from 0, and `models` their number.
    """

    state: TrainingState
    schedule: Schedule
    folder: RunFolder
    fingerprint: str
    evaluate: Callable[[nn.Module], dict[str, float]]
    reporter: Reporter
    score: Callable[[Generator], dict[str, float]] | None = None
    number: int = 0
    models: int = 1

    def __post_init__(self) -> None:
        self._last_save = time.monotonic()
        self._last_checkpoint = newest_checkpoint(self.folder.checkpoints)

    def save(self) -> None:
        """Write a checkpoint, unless the state is no longer finite."""
        self._check_finite()
        self._write(fork_rng_state(self.state.tensors(), self.number))
        self._last_save = time.monotonic()

    def checkpoint_due(self) -> bool:
        """Whether the last checkpoint is older than `save_every_seconds`."""
        return time.monotonic() - self._last_save >= self.schedule.save_every_seconds

    def checkpoint_or_stop(self, stop: StopRequest) -> None:
        """Save and raise if any rank has a stop request; else save if rank 0's last checkpoint is due.

        A checkpoint needs all ranks (it has each one's random state), so they agree in one message.
        """
        own_due = rank() == 0 and self.checkpoint_due()
        requested = (stop.signal_number or 0, 1) if stop else (0, 0)
        signal_number, stopping, due = all_reduce_max(*requested, int(own_due))
        if stopping or due:
            self.save()
        if stopping:
            message = (
                f"stopped at step {self.state.step} and saved in {self.folder.path}: run the same command to go on"
            )
            raise InterruptedRunError(message, signal_number)

    def end_epoch(self, epoch: int, last_batch: TrainingBatch) -> None:
        """Report, evaluate and sample if the schedule says so for this epoch."""
        self._check_finite()
        last = epoch == self.schedule.epochs
        reported = epoch % self.schedule.report_every == 0 or last
        scored = reported and self.score is not None and (last or epoch in self.schedule.scored_epochs())
        if scored:
            self.save()  # with the terms of the coming report, see `finish_pending_report`
        with uncompiled():
            if reported:
                self._publish(self._report(epoch, last_batch, scored=scored))
            if epoch % self.schedule.sample_every == 0 or last:
                self._sample(epoch)
        if scored:
            self.save()  # the report is in the log: a resume must not make it again

    def finish_pending_report(self, batches: BatchSource) -> None:
        """Make the report of a finished and saved epoch whose `score` was interrupted.

        Such a checkpoint is at the end of an epoch and still has accumulated terms, which `_report` would have cleared.
        """
        epoch, inside = divmod(self.state.step, batches.steps_per_epoch)
        reported = epoch % self.schedule.report_every == 0 or epoch == self.schedule.epochs
        if inside or not epoch or not reported or not self.state.num_accumulated:
            return
        if rank() == 0:
            self.folder.rewind_log(self.state.step - 1)
        self.end_epoch(epoch, next(iter(batches.epoch(epoch - 1, first_step=batches.steps_per_epoch - 1))))

    def _report(self, epoch: int, last_batch: TrainingBatch, *, scored: bool) -> dict[str, Any]:
        """One line of the log; clears the accumulated terms."""
        line: dict[str, Any] = {"epoch": epoch, "epochs": self.schedule.epochs, "step": self.state.step}
        line |= {"models": self.models} if self.models > 1 else {}
        line |= {"seconds": round(self.state.seconds, 3), "learning_rate": self.schedule.lr(epoch - 1)}
        line |= self.state.pop_means()
        line |= self._errors()
        line |= self._pixel_stds(gather_with_gradient(last_batch.unlabeled_images))
        if scored and self.score is not None:
            with single_process():
                line |= self.score(self.state.sampling_generator())
        found = diagnostics.check(line, step=self.state.step, setting=self._setting())
        line["diagnostics"] = [{"name": diagnostic.name, "message": diagnostic.message} for diagnostic in found]
        return line

    def _errors(self) -> dict[str, float]:
        """Of the averaged weights and of the current ones; one of both if the average is the current weights."""
        found = self.evaluate(self.state.average.averaged(self.state.discriminator))
        if self.state.average.decay == 0:
            return found
        current = self.evaluate(self.state.discriminator)
        return found | {f"{name}_without_average": value for name, value in current.items()}

    def _pixel_stds(self, real: Tensor) -> dict[str, float]:
        """How much images differ: the standard deviation of each pixel over images, averaged over pixels."""
        with single_process():
            generated = sample(self.state.generator, len(real), seed=_GRID_SEED).float() / 255
        return {
            "images/generated_pixel_std": _mean_pixel_std(generated),
            "images/real_pixel_std": _mean_pixel_std(real),
        }

    def _publish(self, line: dict[str, Any]) -> None:
        if rank() == 0:
            self.folder.append_log(line)
        self.reporter.report(line)

    def _sample(self, epoch: int) -> None:
        if rank() == 0:
            with single_process():
                image = grid(sample(self.state.sampling_generator(), _NUM_GRID, seed=_GRID_SEED))
            write_png(self.folder.samples / f"epoch-{epoch:04d}.png", image)
            self.reporter.show_grid(image, self.state.step)

    def _write(self, tensors: dict[str, Tensor]) -> None:
        if rank() == 0:
            path = save_checkpoint(self.folder.checkpoints, self.state.step, tensors, fingerprint=self.fingerprint)
            self._last_checkpoint = path.name

    def _check_finite(self) -> None:
        if names := self.state.not_finite():
            last = self._last_checkpoint
            raise DivergedError(diagnostics.not_finite(names, self.state.step, last, setting=self._setting()))

    def _setting(self) -> diagnostics.Setting:
        """What the run does already, for the advice of diagnostics."""
        schedule, epsilon = self.schedule, self.state.optimizers.discriminator.defaults.get("eps", 1e-8)
        compares = not self.state.discriminator.is_batch_independent
        return diagnostics.Setting(compares, schedule.generator_steps, epsilon, schedule.precision == torch.float32)


def _mean_pixel_std(images: Tensor) -> float:
    return images.std(0, correction=0).mean().item()


def _set_lr(state: TrainingState, lr: float) -> None:
    for optimizer in (state.optimizers.discriminator, state.optimizers.generator):
        for group in optimizer.param_groups:
            group["lr"] = lr * group.get("lr_scale", 1.0)
