"""An adaptive staircase over exposure times: shorter after two right answers in a row, longer after a wrong one.

The two-down one-up rule settles where 70.7% of the answers are right (Levitt, 1971). Levels are equal steps of the
logarithm from 100 ms to 5 s. Steps are two levels until the second reversal, then one.
"""

import math
from dataclasses import asdict, dataclass, replace
from typing import Any

from improved_gan.turing_test.errors import TuringTestError

__all__ = ["LEVELS_MS", "Staircase", "threshold_ms"]

_STEPS = 12
LEVELS_MS: tuple[int, ...] = tuple(
    round(100 * 50.0 ** (step / _STEPS)) for step in range(_STEPS + 1)
)  # 100 ... 5000 ms
_COARSE_REVERSALS = 2


@dataclass(frozen=True)
class Staircase:
    """Where a judge's staircase stands; `after` gives the next one, so it can be stored with the session.

    Example:
        >>> start = Staircase()
        >>> start.exposure_ms, start.after(True).after(True).exposure_ms, start.after(False).exposure_ms
        (980, 510, 1880)
    """

    level: int = 7
    run: int = 0  # right answers in a row at this level
    direction: int = 0  # of the last move: -1 shorter, 1 longer, 0 none yet
    reversals: int = 0

    @property
    def exposure_ms(self) -> int:
        """How long the next picture is shown, in milliseconds."""
        return LEVELS_MS[self.level]

    def after(self, correct: bool) -> "Staircase":
        """The staircase after one more answer."""
        if correct and self.run == 0:
            return replace(self, run=1)
        direction = -1 if correct else 1
        reversals = self.reversals + (self.direction == -direction)
        step = 2 if reversals < _COARSE_REVERSALS else 1
        level = min(max(self.level + direction * step, 0), _STEPS)
        return Staircase(level, 0, direction, reversals)

    def to_dict(self) -> dict[str, int]:
        """For storage."""
        return asdict(self)

    @staticmethod
    def from_dict(stored: dict[str, Any]) -> "Staircase":
        """The staircase that `to_dict` gave.

        Raises:
            TuringTestError: something else was stored.
        """
        try:
            return Staircase(**stored)
        except TypeError as error:
            raise TuringTestError(f"a stored staircase must have level, run, direction, reversals: {error}") from error


def threshold_ms(exposures_ms: list[float]) -> float:
    """The exposure at which a staircase settles: the geometric mean at its reversals, the first two left out.

    Args:
        exposures_ms: of one judge's trials in order.

    Returns:
        Milliseconds; NaN with fewer than four reversals.

    Example:
        >>> round(threshold_ms([1000, 500, 1000, 500, 1000, 500, 1000]))
        707
    """
    turns, last_direction, previous = [], 0, None
    for exposure in exposures_ms:
        if previous is not None and exposure != previous:
            direction = 1 if exposure > previous else -1
            if last_direction == -direction:
                turns.append(previous)
            last_direction = direction
        previous = exposure
    if len(turns) < 4:
        return float("nan")
    used = turns[2:] if len(turns) % 2 == 0 else turns[3:]  # as many upper as lower ones
    return math.exp(sum(math.log(turn) for turn in used) / len(used))
