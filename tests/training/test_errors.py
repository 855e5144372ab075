from improved_gan.training.errors import InterruptedRunError, RunError


def test_errors_of_the_user_are_value_errors_and_an_interruption_is_none() -> None:
    assert issubclass(RunError, ValueError)
    assert not issubclass(InterruptedRunError, ValueError)
    assert InterruptedRunError("saved", 15).signal_number == 15
