import torch

from improved_gan.theory.threads import single_threaded


def test_the_number_of_threads_is_restored_after_an_error_too() -> None:
    @single_threaded()
    def fail() -> None:
        assert torch.get_num_threads() == 1
        raise RuntimeError

    torch.set_num_threads(2)
    try:
        fail()
    except RuntimeError:
        assert torch.get_num_threads() == 2
    else:
        raise AssertionError("the error was swallowed")
