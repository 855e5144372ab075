"""The loop around the vmapped step of several models: each has its own run folder, as if trained alone."""

from collections.abc import Callable, Sequence

from improved_gan.training.errors import DivergedError, InterruptedRunError
from improved_gan.training.loop import BatchSource, Run
from improved_gan.training.objectives import Objective
from improved_gan.training.schedule import Schedule
from improved_gan.training.signals import StopRequest
from improved_gan.training.vmapped import VmappedTraining, step_all

__all__ = ["train_vmapped"]


def train_vmapped(
    runs: Sequence[Run], batches: Sequence[BatchSource], objective: Objective, schedule: Schedule, *, stop: StopRequest
) -> None:
    """Train all models from their common step to the last epoch.

    Each run's log, samples and checkpoints are like those of `training.loop.train`, so that each can resume alone. Its
    seconds are an equal fraction of the time. A model that diverges does not stop the others: it stays in the stack,
    without further reports and checkpoints.

    Args:
        runs: of the models, each with its state, folder and reporter; the first one's reporter counts steps.
        batches: of each.
        objective: the losses, the same for each.
        schedule: of all.
        stop: checked between steps.

    Raises:
        ValueError: the models cannot be trained in one vmapped step.
        DivergedError: a loss or weight of some model is not finite; raised when the others are done.
        InterruptedRunError: stopped on request, after all have saved.
        RunError: a checkpoint could not be saved.
    """
    diverged: dict[int, DivergedError] = {}

    def for_each(act: Callable[[int], None]) -> None:
        for index in range(len(runs)):
            if index not in diverged:
                try:
                    act(index)
                except DivergedError as error:
                    diverged[index] = DivergedError(f"{runs[index].folder.path}: {error}")

    for_each(lambda index: runs[index].finish_pending_report(batches[index]))
    training = VmappedTraining([run.state for run in runs], objective, schedule)
    for epoch, images in step_all(training, batches, schedule):
        runs[0].reporter.advance()
        ends = training.step_number % batches[0].steps_per_epoch == 0
        stopping, due = bool(stop), any(run.checkpoint_due() for index, run in enumerate(runs) if index not in diverged)
        # In this order for the reason given in training.loop: a report comes before the checkpoint of its step.
        if ends or stopping or due:
            training.unstack()
        if ends:
            for_each(lambda index, epoch=epoch, images=images: runs[index].end_epoch(epoch + 1, images[index]))  # type: ignore[misc]
        if stopping or due:
            for_each(lambda index: runs[index].save())
        if stopping:
            where = f"{runs[0].folder.path} and {len(runs) - 1} more"
            message = f"stopped at step {training.step_number} and saved in {where}: run the same command to go on"
            raise InterruptedRunError(message, stop.signal_number or 0)
        if len(diverged) == len(runs):
            break
    for_each(lambda index: runs[index].save())
    if diverged:
        raise next(iter(diverged.values()))
