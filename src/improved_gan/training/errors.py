"""Errors of a run that the user can do something about; each message says what."""

__all__ = ["DivergedError", "InterruptedRunError", "RunError"]


class RunError(ValueError):
    """A run folder, checkpoint or setting that does not fit."""


class DivergedError(RuntimeError):
    """Training produced a number that is not finite."""


class InterruptedRunError(Exception):
    """The run was asked to stop, and saved.

    Args:
        message: where it was saved and how to go on.
        signal_number: the signal that asked.
    """

    def __init__(self, message: str, signal_number: int) -> None:
        super().__init__(message, signal_number)  # both, so that the error survives the way out of a worker process
        self.signal_number = signal_number

    def __str__(self) -> str:
        return str(self.args[0])
