"""Errors of a run that the user can do something about; each message says what."""

__all__ = ["DivergedError", "InterruptedRunError", "RankLostError", "ReportedByOtherRankError", "RunError"]


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


class RankLostError(RuntimeError):
    """Another process of the same run has ended or does not answer."""


class ReportedByOtherRankError(Exception):
    """The run ends here too, and another of its processes says why.

    Args:
        exit_code: of this process.
    """

    def __init__(self, exit_code: int) -> None:
        super().__init__(exit_code)
        self.exit_code = exit_code
