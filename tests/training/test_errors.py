import pickle

from improved_gan.training.errors import InterruptedRunError, RunError


def test_user_errors_are_value_errors_and_an_interruption_is_not() -> None:
    assert issubclass(RunError, ValueError)
    assert not issubclass(InterruptedRunError, ValueError)


def test_an_interruption_can_be_pickled() -> None:
    error = pickle.loads(pickle.dumps(InterruptedRunError("saved", 15)))
    assert (str(error), error.signal_number) == ("saved", 15)
