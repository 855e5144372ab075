"""The remaining time of a training, estimated from its steps so far; for `train`, `train --dry-run` and `fit`.

The first steps are slower (memory allocation, choice of kernels), so they do not count; of a long run only the last
minutes count, since the load of the machine may have changed.
"""

import time
from collections import deque
from collections.abc import Callable

__all__ = ["StepTimer", "in_words"]

_WARM_UP_STEPS, _WARM_UP_SECONDS = 3, 10.0  # whichever ends first
_MEASURED_STEPS, _MEASURED_SECONDS = 5, 1.0  # both are needed, or else one step after 10 s
_WINDOW = 300.0  # seconds


class StepTimer:
    """Reads a clock after each step, and estimates the time of the remaining ones.

    Args:
        total_steps: of the whole run.
        first_step: number of steps before this start.
        clock: monotonic seconds.

    >>> clock = iter(range(100))  # a second a step
    >>> timer = StepTimer(1000, clock=lambda: next(clock))
    >>> for _ in range(10):
    ...     timer.step()
    >>> timer.seconds_left(), in_words(timer.seconds_left())
    (990.0, '16 minutes')
    """

    def __init__(self, total_steps: int, *, first_step: int = 0, clock: Callable[[], float] = time.monotonic) -> None:
        self.done, self.total = first_step, total_steps
        self._clock, self._made = clock, 0
        self._began = self.now = clock()  # `now`: when the last step ended
        self._marks: deque[tuple[int, float]] = deque()  # steps done, and when; a second apart

    def step(self) -> None:
        """Count one step."""
        now = self._clock()
        self.done += 1
        self._made += 1
        if not self._marks and self._made < _WARM_UP_STEPS and now - self._began < _WARM_UP_SECONDS:
            return
        self.now = now
        if not self._marks or now - self._marks[-1][1] >= 1.0:
            self._marks.append((self.done, now))
        while len(self._marks) > 2 and now - self._marks[0][1] > _WINDOW:
            self._marks.popleft()

    def seconds_per_step(self) -> float | None:
        """The recent mean, with all that happens between steps; None while there are too few steps."""
        if not self._marks:
            return None
        first, began = self._marks[0]
        steps, seconds = self.done - first, self.now - began
        enough = steps >= _MEASURED_STEPS and seconds >= _MEASURED_SECONDS
        return seconds / steps if enough or (steps and seconds >= _WARM_UP_SECONDS) else None

    def seconds_left(self) -> float | None:
        """Until the last step; None if unknown yet."""
        each = self.seconds_per_step()
        return None if each is None else each * (self.total - self.done)


def in_words(seconds: float) -> str:
    """A duration in words, in a suitable unit.

    >>> [in_words(one) for one in (2, 47, 600, 21_700, 5_400, 400_000)]
    ['2 seconds', '47 seconds', '10 minutes', '6 hours', '1.5 hours', '4.6 days']
    """
    if seconds < 90:
        num = max(1, round(seconds))
        return f"{num} second{'s' * (num != 1)}"
    if seconds < 90 * 60:
        return f"{seconds / 60:.0f} minutes"
    number, unit = (seconds / 3600, "hours") if seconds < 36 * 3600 else (seconds / 86400, "days")
    text = f"{number:.0f}" if number >= 10 else f"{number:.1f}".removesuffix(".0")
    return f"{text} {unit}"
