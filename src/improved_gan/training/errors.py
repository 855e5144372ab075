"""Errors of a run that the user can fix; each message says how."""

__all__ = ["DivergedError", "InterruptedRunError", "RankLostError", "ReportedByOtherRankError", "RunError"]


class RunError(ValueError):
    """A run folder, checkpoint or setting that does not fit."""


class DivergedError(RuntimeError):
    """A loss or a weight is not finite."""


class InterruptedRunError(Exception):
    """The run stopped on request, after saving.

    Args:
        message: where it was saved and how to resume.
        signal_number: the signal that requested it.
    """

    def __init__(self, message: str, signal_number: int) -> None:
        super().__init__(message, signal_number)  # both, so that the error can be pickled, out of a worker process
        self.signal_number = signal_number

    def __str__(self) -> str:
        return str(self.args[0])


class RankLostError(RuntimeError):
    """Another process of the same run has ended or does not respond."""


class ReportedByOtherRankError(Exception):
    """Another process of the run failed and reports the error; this one ends too.

    Args:
        exit_code: of this process.
    """

    def __init__(self, exit_code: int) -> None:
        super().__init__(exit_code)
        self.exit_code = exit_code
