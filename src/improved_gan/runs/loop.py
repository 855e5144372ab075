"""The loop around the step: reports, evaluation, samples, diagnostics, checkpoints, and a clean stop.

Over several ranks all take the same steps and the same decisions; rank 0 alone writes, displays and samples. Several
models that are trained in one vmapped step have a run folder each, as if each were trained alone.

The order of saving and reporting makes the log complete and free of duplicates after a crash at any moment:

    end of an epoch    report (append to log.jsonl, samples), then a checkpoint if one is due
    resume             drop log lines after the checkpoint's step, repeat the steps from there
    slow evaluation    checkpoint, report with `score`, checkpoint: the first one has the accumulated terms of the
                       report (num_accumulated > 0), and `finish_pending_report` makes the report that is missing
"""

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, cast

from torch import Tensor, nn

from improved_gan.distributed import all_reduce_max, gather_with_gradient, rank, single_process
from improved_gan.networks.interface import Generator
from improved_gan.recipes.recipe import PRECISIONS, Recipe
from improved_gan.runs.run import Run
from improved_gan.training import diagnostics
from improved_gan.training.compilation import uncompiled
from improved_gan.training.errors import DivergedError, InterruptedRunError
from improved_gan.training.objectives import BatchSource, Objective, TrainingBatch
from improved_gan.training.reporting import Reporter
from improved_gan.training.sampling import grid, sample, write_png
from improved_gan.training.signals import StopRequest
from improved_gan.training.state import TrainingState, fork_rng_state
from improved_gan.training.step import train_step
from improved_gan.training.vmapped import VmappedTraining

__all__ = ["Recorder", "step_all", "take_steps", "train", "train_models"]

_GRID_SEED, _NUM_GRID = 0, 100


def take_steps(
    state: TrainingState, batches: BatchSource, objective: Objective, recipe: Recipe
) -> Iterator[tuple[int, TrainingBatch]]:
    """Train step by step, from the state's step to the recipe's last epoch.

    Between steps the caller may do anything except change the discriminator's parameters, whose normalized weights are
    cached across steps.

    Yields:
        After each step its epoch, counted from 0, and its batch.
    """
    with state.discriminator.cache_weights_across_steps():
        for epoch in range(state.step // batches.steps_per_epoch, recipe.epochs):
            _set_lr(state, recipe.lr(epoch))
            started = time.perf_counter()
            for batch in batches.epoch(epoch, first_step=state.step % batches.steps_per_epoch):
                terms = train_step(
                    state.generator,
                    state.discriminator,
                    objective,
                    batch,
                    state.optimizers,
                    precision=PRECISIONS[recipe.precision],
                    generator_updates=recipe.generator_updates,
                    micro_batch=recipe.micro_batch,
                )
                state.average.update()
                state.add(terms)
                state.seconds += time.perf_counter() - started
                yield epoch, batch
                started = time.perf_counter()  # time between steps is not training; making batches is


def step_all(
    training: VmappedTraining, sources: Sequence[BatchSource], recipe: Recipe
) -> Iterator[tuple[int, tuple[TrainingBatch, ...]]]:
    """Train several models step by step to the last epoch; yields after each step its epoch, from 0, and batches."""
    steps_per_epoch = sources[0].steps_per_epoch
    for epoch in range(training.step_number // steps_per_epoch, recipe.epochs):
        training.set_lr(recipe.lr(epoch))
        first_step = training.step_number % steps_per_epoch
        for batches in zip(*(source.epoch(epoch, first_step=first_step) for source in sources), strict=True):
            training.step(batches, generator_updates=recipe.generator_updates)
            yield epoch, batches


def train(recorder: "Recorder", batches: BatchSource, objective: Objective, *, stop: StopRequest) -> None:
    """Train from the state's step to the last epoch.

    Args:
        recorder: has the state, which is updated in place, and the run.
        batches: of each epoch.
        objective: the losses of both networks.
        stop: checked between steps.

    Raises:
        DivergedError: a loss or a weight is not finite.
        InterruptedRunError: stopped on request, after saving.
        RunError: a checkpoint could not be saved.
    """
    state = recorder.state
    recorder.finish_pending_report(batches)
    for epoch, batch in take_steps(state, batches, objective, recorder.recipe):
        recorder.reporter.advance(state.means)
        # The report before the checkpoint of the same step: a resume from that checkpoint would not make it again.
        if state.step % batches.steps_per_epoch == 0:
            recorder.end_epoch(epoch + 1, batch)
        recorder.checkpoint_or_stop(stop)
    recorder.save()


def train_models(
    recorders: Sequence["Recorder"], batches: Sequence[BatchSource], objective: Objective, *, stop: StopRequest
) -> None:
    """Train several models, in vmapped steps, from their common step to the last epoch.

    Each run's log, samples and checkpoints are like those of `train`, so that each can resume alone. Its seconds are an
    equal fraction of the time. A model that diverges does not stop the others: it stays in the stack, without further
    reports and checkpoints.

    Args:
        recorders: of the models; the first one's reporter counts steps.
        batches: of each.
        objective: the losses, the same for each.
        stop: checked between steps.

    Raises:
        ValueError: the models cannot be trained in one vmapped step.
        DivergedError: a loss or weight of some model is not finite; raised when the others are done.
        InterruptedRunError: stopped on request, after all have saved.
        RunError: a checkpoint could not be saved.
    """
    recipe, diverged = recorders[0].recipe, dict[int, DivergedError]()

    def for_each(act: Callable[[int], None]) -> None:
        for index in range(len(recorders)):
            if index not in diverged:
                try:
                    act(index)
                except DivergedError as error:
                    diverged[index] = DivergedError(f"{recorders[index].run.path}: {error}")

    for_each(lambda index: recorders[index].finish_pending_report(batches[index]))
    states = [one.state for one in recorders]
    training = VmappedTraining(states, objective, PRECISIONS[recipe.precision], micro_batch=recipe.micro_batch)
    for epoch, images in step_all(training, batches, recipe):
        recorders[0].reporter.advance()
        ends = training.step_number % batches[0].steps_per_epoch == 0
        stopping = bool(stop)
        due = any(one.checkpoint_due() for index, one in enumerate(recorders) if index not in diverged)
        # In the order of `train`, for the same reason.
        if ends or stopping or due:
            training.unstack()
        if ends:
            for_each(lambda index, epoch=epoch, images=images: recorders[index].end_epoch(epoch + 1, images[index]))  # type: ignore[misc]
        if stopping or due:
            for_each(lambda index: recorders[index].save())
        if stopping:
            where = f"{recorders[0].run.path} and {len(recorders) - 1} more"
            message = f"stopped at step {training.step_number} and saved in {where}: run the same command to continue"
            raise InterruptedRunError(message, stop.signal_number or 0)
        if len(diverged) == len(recorders):
            break
    for_each(lambda index: recorders[index].save())
    if diverged:
        raise next(iter(diverged.values()))


@dataclass
class Recorder:
    """What happens between the steps of one run: reports, samples and checkpoints.

    Args:
        state: of the networks.
        recipe: of the run.
        run: where log, samples and checkpoints are written.
        evaluate: returns numbers by `group/name` for the discriminator with averaged weights, for reports only; called
            on all ranks, which may divide the work.
        reporter: displays progress.
        score: returns numbers by `samples/name` for the generator that makes samples, for reports only. It may be slow,
            so a checkpoint is written before it; a run that ends inside it resumes with the missing report. On all
            ranks or on none (`ProcessGroup.on_rank0`).
        save_every: seconds between checkpoints; also saved at the end and at a stop.
        score_every: epochs between scores, at reports only; 0 scores at the end only.
        number, models: if several models are trained in one step, the index of this one, from 0, and their number.
    """

    state: TrainingState
    recipe: Recipe
    run: Run
    evaluate: Callable[[nn.Module], dict[str, float]]
    reporter: Reporter
    score: Callable[[Generator], dict[str, float]] | None = None
    save_every: float = 60.0
    score_every: int = 0
    number: int = 0
    models: int = 1

    def __post_init__(self) -> None:
        self._last_save = time.monotonic()
        newest = self.run.newest_checkpoint()
        self._last_checkpoint = newest.name if newest else None

    def save(self) -> None:
        """Write a checkpoint, unless the state is no longer finite."""
        self._check_finite()
        tensors = fork_rng_state(self.state.tensors(), self.number)  # of all ranks
        if rank() == 0:
            self._last_checkpoint = self.run.save_checkpoint(self.state.step, tensors)
        self._last_save = time.monotonic()

    def checkpoint_due(self) -> bool:
        """Whether the last checkpoint is older than `save_every`."""
        return time.monotonic() - self._last_save >= self.save_every

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
                f"stopped at step {self.state.step} and saved in {self.run.path}: run the same command to continue"
            )
            raise InterruptedRunError(message, signal_number)

    def end_epoch(self, epoch: int, last_batch: TrainingBatch) -> None:
        """Report, evaluate and sample if the recipe says so for this epoch."""
        self._check_finite()
        last, reported = epoch == self.recipe.epochs, self._is_reported(epoch)
        scored = reported and self.score is not None and (last or (self.score_every and epoch % self.score_every == 0))
        if scored:
            self.save()  # with the terms of the coming report, see `finish_pending_report`
        with uncompiled():
            if reported:
                self._publish(self._report(epoch, last_batch, scored=bool(scored)))
            if epoch % self.recipe.sample_every == 0 or last:
                self._sample(epoch)
        if scored:
            self.save()  # the report is in the log: a resume must not make it again

    def finish_pending_report(self, batches: BatchSource) -> None:
        """Make the report of a finished and saved epoch whose `score` was interrupted.

        Such a checkpoint is at the end of an epoch and still has accumulated terms, which `_report` would have cleared.
        """
        epoch, inside = divmod(self.state.step, batches.steps_per_epoch)
        if inside or not epoch or not self._is_reported(epoch) or not self.state.num_accumulated:
            return
        if rank() == 0:
            self.run.rewind_log(self.state.step - 1)
        self.end_epoch(epoch, next(iter(batches.epoch(epoch - 1, first_step=batches.steps_per_epoch - 1))))

    def _is_reported(self, epoch: int) -> bool:
        return epoch % self.recipe.report_every == 0 or epoch == self.recipe.epochs

    def _report(self, epoch: int, last_batch: TrainingBatch, *, scored: bool) -> dict[str, Any]:
        """One line of the log; clears the accumulated terms."""
        line: dict[str, Any] = {"epoch": epoch, "epochs": self.recipe.epochs, "step": self.state.step}
        line |= {"models": self.models} if self.models > 1 else {}
        line |= {"seconds": round(self.state.seconds, 3), "learning_rate": self.recipe.lr(epoch - 1)}
        line |= self.state.pop_means()
        line |= self._errors()
        line |= self._pixel_stds(gather_with_gradient(last_batch.unlabeled_images))
        if scored and self.score is not None:
            with single_process():
                line |= self.score(cast(Generator, self.state.sampling_generator()))
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
        if self.state.generator is None:
            return {}
        with single_process():
            generated = sample(self.state.generator, len(real), seed=_GRID_SEED).float() / 255
        return {
            "images/generated_pixel_std": _mean_pixel_std(generated),
            "images/real_pixel_std": _mean_pixel_std(real),
        }

    def _publish(self, line: dict[str, Any]) -> None:
        if rank() == 0:
            self.run.append_report(line)
        self.reporter.report(line)

    def _sample(self, epoch: int) -> None:
        if rank() == 0 and self.state.generator is not None:
            with single_process():
                samples = sample(cast(Generator, self.state.sampling_generator()), _NUM_GRID, seed=_GRID_SEED)
            if samples.shape[2] == 1:  # embeddings: nothing to look at
                return
            image = grid(samples)
            write_png(self.run.samples / f"epoch-{epoch:04d}.png", image)
            self.reporter.show_grid(image, self.state.step)

    def _check_finite(self) -> None:
        if names := self.state.not_finite():
            last = self._last_checkpoint
            raise DivergedError(diagnostics.not_finite(names, self.state.step, last, setting=self._setting()))

    def _setting(self) -> diagnostics.Setting:
        """What the run does already, for the advice of diagnostics."""
        recipe, epsilon = self.recipe, self.state.optimizers.discriminator.defaults.get("eps", 1e-8)
        compares = not self.state.discriminator.is_batch_independent
        return diagnostics.Setting(
            compares_rows=compares,
            generator_updates=None if recipe.objective.simultaneous else recipe.generator_updates,
            adam_epsilon=epsilon,
            float32=recipe.precision == "float32",
            learning_rate=recipe.learning_rate,
        )


def _mean_pixel_std(images: Tensor) -> float:
    return images.std(0, correction=0).mean().item()


def _set_lr(state: TrainingState, lr: float) -> None:
    for optimizer in filter(None, (state.optimizers.discriminator, state.optimizers.generator)):
        for group in optimizer.param_groups:
            group["lr"] = lr * group.get("lr_scale", 1.0)
