"""The error of this package; its message says what was required, what was given, and what to do."""

__all__ = ["MetricError"]


class MetricError(ValueError):
    """Features, probabilities, statistics or settings that give no number."""
