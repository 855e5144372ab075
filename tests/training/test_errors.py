import pickle

from improved_gan.training.errors import InterruptedRunError


def test_an_interruption_can_be_pickled() -> None:
    error = pickle.loads(pickle.dumps(InterruptedRunError("saved", 15)))
    assert (str(error), error.signal_number) == ("saved", 15)
