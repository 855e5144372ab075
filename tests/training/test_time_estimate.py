import pytest

from improved_gan.training.time_estimate import StepTimer, in_words


class Clock:
    """A clock that is set explicitly."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def steps(timer: StepTimer, clock: Clock, *seconds: float) -> None:
    for one in seconds:
        clock.now += one
        timer.step()


def test_no_estimate_before_enough_steps() -> None:
    clock = Clock()
    timer = StepTimer(100, clock=clock)
    assert timer.seconds_left() is None
    steps(timer, clock, *[0.25] * 7)  # three warm-up steps; the other four are too few
    assert timer.seconds_left() is None
    steps(timer, clock, 0.25)
    assert timer.seconds_left() == pytest.approx(92 * 0.25)


def test_fast_steps_are_measured_for_a_second() -> None:
    clock = Clock()
    timer = StepTimer(10_000, clock=clock)
    steps(timer, clock, *[1 / 64] * 66)
    assert timer.seconds_left() is None
    steps(timer, clock, 1 / 64)
    assert timer.seconds_left() == pytest.approx((10_000 - 67) / 64)


def test_slow_first_steps_do_not_count() -> None:
    clock = Clock()
    timer = StepTimer(1000, clock=clock)
    steps(timer, clock, 5.0, 4.0, 0.5, *[0.5] * 5)
    assert timer.seconds_per_step() == pytest.approx(0.5)


def test_steps_of_a_minute_give_an_estimate_after_the_second() -> None:
    clock = Clock()
    timer = StepTimer(60, clock=clock)
    steps(timer, clock, 70.0, 60.0)
    assert timer.seconds_left() == pytest.approx(58 * 60.0)


def test_a_resumed_run_has_less_time_left() -> None:
    clock = Clock()
    timer = StepTimer(100, first_step=90, clock=clock)
    steps(timer, clock, *[1.0] * 8)
    assert timer.seconds_left() == pytest.approx(2.0)


def test_of_a_long_run_the_last_minutes_count() -> None:
    clock = Clock()
    timer = StepTimer(10_000, clock=clock)
    steps(timer, clock, *[1.0] * 500)
    assert timer.seconds_per_step() == pytest.approx(1.0)
    steps(timer, clock, *[2.0] * 500)  # the machine is busier now
    assert timer.seconds_per_step() == pytest.approx(2.0)
    assert timer.seconds_left() == pytest.approx(9000 * 2.0)


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (0.2, "1 second"),
        (89, "89 seconds"),
        (91, "2 minutes"),
        (89 * 60, "89 minutes"),
        (6.04 * 3600, "6 hours"),
        (35 * 3600, "35 hours"),
        (37 * 3600, "1.5 days"),
        (30 * 86400, "30 days"),
    ],
)
def test_words(seconds: float, words: str) -> None:
    assert in_words(seconds) == words
