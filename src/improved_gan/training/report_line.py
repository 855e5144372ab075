"""One line of log.jsonl, read: any byte of it may be wrong, and a line that is no report is passed over."""

import json
from typing import Any

__all__ = ["read_report_line"]

_WHOLE = ("epoch", "epochs", "step")
_NUMBERS = ("seconds", "learning_rate", "models")
_MOST = 2**53  # beyond it a float is no whole number any more


def read_report_line(text: bytes) -> dict[str, Any] | None:
    """The report, as it was written; None where the line was cut short or damaged.

    A report has the whole numbers `epoch` and `step`; every other name with a slash is a number; `diagnostics` is a
    list of `{"name": str, "message": str}`.

    >>> read_report_line(b'{"epoch": 1, "step": 20, "test/error": 0.5}')
    {'epoch': 1, 'step': 20, 'test/error': 0.5}
    >>> read_report_line(b'{"epoch": 1, "step": 20, "test/err')
    """
    try:
        line = json.loads(text)
    except (ValueError, RecursionError):  # also of bytes that are no UTF-8
        return None
    if not isinstance(line, dict) or not {"epoch", "step"} <= line.keys():
        return None
    for name, value in line.items():
        if name in _WHOLE:
            fits = isinstance(value, int) and not isinstance(value, bool) and 0 <= value < _MOST
        elif "/" in name or name in _NUMBERS:
            fits = _is_number(value)
        else:
            fits = name != "diagnostics" or _are_alarms(value)
        if not fits:
            return None
    return line


def _is_number(value: Any) -> bool:
    """Also infinity and NaN: a run that diverges writes them."""
    if isinstance(value, float):
        return True
    return isinstance(value, int) and not isinstance(value, bool) and abs(value) < _MOST


def _are_alarms(value: Any) -> bool:
    return isinstance(value, list) and all(
        isinstance(one, dict) and isinstance(one.get("name"), str) and isinstance(one.get("message"), str)
        for one in value
    )
