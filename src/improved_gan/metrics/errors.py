"""The error of this room: input that cannot be judged; the message says what was required, what came and what to do."""

__all__ = ["MetricError"]


class MetricError(ValueError):
    """Features, probabilities, statistics or settings that give no number."""
