"""Read one line of log.jsonl: any byte may be damaged, and a line that is no report is skipped."""

import json
from typing import Any

__all__ = ["read_report_line"]

_WHOLE = ("epoch", "epochs", "step")
_NUMBERS = ("seconds", "learning_rate", "models")
_MAX = 2**53  # larger integers are not exact as floats


def read_report_line(text: bytes) -> dict[str, Any] | None:
    """The report as it was written; None if the line is truncated or damaged.

    A report has the whole numbers `epoch` and `step`; every other name with a slash is a number; `diagnostics` is a
    list of `{"name": str, "message": str}`.

    >>> read_report_line(b'{"epoch": 1, "step": 20, "test/error": 0.5}')
    {'epoch': 1, 'step': 20, 'test/error': 0.5}
    >>> read_report_line(b'{"epoch": 1, "step": 20, "test/err')
    """
    try:
        line = json.loads(text)
    except (ValueError, RecursionError):  # also for bytes that are no UTF-8
        return None
    if not isinstance(line, dict) or not {"epoch", "step"} <= line.keys():
        return None
    for name, value in line.items():
        if name in _WHOLE:
            fits = isinstance(value, int) and not isinstance(value, bool) and 0 <= value < _MAX
        elif "/" in name or name in _NUMBERS:
            fits = _is_number(value)
        else:
            fits = name != "diagnostics" or _are_diagnostics(value)
        if not fits:
            return None
    return line


def _is_number(value: Any) -> bool:
    """Infinity and NaN included: a run that diverges writes them."""
    if isinstance(value, float):
        return True
    return isinstance(value, int) and not isinstance(value, bool) and abs(value) < _MAX


def _are_diagnostics(value: Any) -> bool:
    return isinstance(value, list) and all(
        isinstance(one, dict) and isinstance(one.get("name"), str) and isinstance(one.get("message"), str)
        for one in value
    )
