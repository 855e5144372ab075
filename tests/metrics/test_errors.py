from improved_gan.metrics import MetricError


def test_it_is_the_callers_mistake() -> None:
    assert issubclass(MetricError, ValueError)
