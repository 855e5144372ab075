"""Options of several commands, each declared once: a command's field is `device: str | None = device_option()`."""

from pathlib import Path

from improved_gan.cli.options import argument, option

__all__ = [
    "MAX_SEED",
    "data_option",
    "device_option",
    "run_argument",
    "threads_option",
    "trust_option",
    "value_range_option",
]

MAX_SEED = 2**32 - 1  # what NumPy takes


def run_argument() -> Path:
    """The run folder that the command reads."""
    return argument(metavar="RUN", help="A run folder made by `train`.")


def data_option(help: str = "Folder with the data; default: $IMPROVED_GAN_DATA, else a download.") -> Path | None:
    """The folder of the data sets."""
    return option(None, help=help)


def device_option(default: str = "a GPU if there is one") -> str | None:
    """The device of the networks."""
    return option(None, help=f"cpu, cuda, cuda:1 ...; default: {default}.")


def threads_option(help: str = "CPU threads; default: PyTorch's choice.") -> int | None:
    """The number of CPU threads."""
    return option(None, help=help, min=1)


def trust_option() -> bool:
    """Whether the recipe file in a run folder may be executed; see `trust_or_ask`."""
    return option(False, help="Execute the Python recipe file stored in the run folder, if there is one.")


def value_range_option() -> str | None:
    """The pixel values of black and white in images that a run reads."""
    return option(None, help="Pixel values of black and white, as 0:4095; default: the run's value range.")
