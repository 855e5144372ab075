import pickle

from improved_gan.training.errors import InterruptedRunError, RunError


def test_errors_of_the_user_are_value_errors_and_an_interruption_is_none() -> None:
    assert issubclass(RunError, ValueError)
    assert not issubclass(InterruptedRunError, ValueError)


def test_an_interruption_survives_the_way_out_of_a_worker_process() -> None:
    error = pickle.loads(pickle.dumps(InterruptedRunError("saved", 15)))
    assert (str(error), error.signal_number) == ("saved", 15)
