"""The loop around the common step of several models: each has its run folder, as if it were trained alone."""

from collections.abc import Sequence

from improved_gan.training.errors import InterruptedRunError
from improved_gan.training.interruption import StopRequest
from improved_gan.training.loop import BatchSource, Run
from improved_gan.training.objectives import Objective
from improved_gan.training.schedule import Schedule
from improved_gan.training.together import Together, take_steps_together

__all__ = ["train_together"]


def train_together(
    runs: Sequence[Run], batches: Sequence[BatchSource], objective: Objective, schedule: Schedule, *, stop: StopRequest
) -> None:
    """Run all models from where they stand, at the same step, to the last epoch.

    Each run's log, samples and checkpoints are those of `training.loop.train`, so that any of them can go on alone. Its
    seconds are an equal share of the time.

    Args:
        runs: of the models, each with its state, folder and reporter; the first one's reporter counts steps.
        batches: of each.
        objective: the game of each.
        schedule: of all.
        stop: asked between steps.

    Raises:
        ValueError: models that have to be trained apart.
        DivergedError: a term of any model is not finite.
        InterruptedRunError: stopped on request, after all have saved.
        RunError: a checkpoint could not be saved.
    """
    for run, source in zip(runs, batches, strict=True):
        run.make_up_for_report(source)
    together = Together([run.state for run in runs], objective, schedule)
    for epoch, images in take_steps_together(together, batches, schedule):
        runs[0].reporter.advance()
        ends = together.step_number % batches[0].steps_per_epoch == 0
        stopping, due = bool(stop), runs[0].is_old()
        if ends or stopping or due:
            together.share_out()
        if ends:
            for run, batch in zip(runs, images, strict=True):
                run.close_epoch(epoch + 1, batch)
        if stopping or due:
            for run in runs:
                run.save()
        if stopping:
            where = f"{runs[0].folder.path} and {len(runs) - 1} more"
            message = f"stopped at step {together.step_number} and saved in {where}: run the same command to go on"
            raise InterruptedRunError(message, stop.signal_number or 0)
    for run in runs:
        run.save()
