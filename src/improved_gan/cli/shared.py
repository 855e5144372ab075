"""Options of several commands, each declared once: a command's field is `device: str | None = device_option()`."""

from dataclasses import dataclass
from pathlib import Path

from improved_gan.cli.options import argument, option

__all__ = [
    "MAX_SEED",
    "TrainingOptions",
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
    """Whether code that a run names may be executed: its recipe file, the module of its network; see `trust_or_ask`."""
    return option(False, help="Execute code that the run names: its recipe file, the module of its network.")


def value_range_option() -> str | None:
    """The pixel values of black and white in images that a run reads."""
    return option(None, help="Pixel values of black and white, such as 0:4095; default: the run's value range.")


@dataclass(frozen=True)
class TrainingOptions:
    """The options that `train` and `train-folder` share; None: the recipe's value."""

    seed: int = option(1, help="Seed of initialization, batches and noise.", min=0, max=MAX_SEED)
    split_seed: int | None = option(
        None, help="Seed that selects the labeled images; default: --seed.", min=0, max=MAX_SEED
    )
    epochs: int | None = option(None, help="Epochs; default: the recipe's.")
    out: Path | None = option(None, help="Run folder; default: runs/RECIPE-LABELS-seedSEED.", written="folder")
    device: str | None = device_option()
    learning_rate: float | None = option(None, help="Initial learning rate of both networks; default: the recipe's.")
    precision: str | None = option(
        None, help="float32, bfloat16 (forward passes only), or auto; default: the recipe's."
    )
    generator_updates: int | None = option(None, help="Generator updates per discriminator update.", min=1)
    micro_batch: int | None = option(
        None, help="Rows per micro-batch (less memory, same gradients); 0: no micro-batches.", min=0
    )
    compile: bool | None = option(None, help="Use torch.compile, if a compiler is available.")
    channels_last: bool | None = option(None, help="Use the channels-last memory format for convolutions.")
    threads: int | None = threads_option()
    save_every: float = option(60.0, help="Seconds between checkpoints.", min=0)
    eval_network: str | None = option(None, help="Network that scores samples, named as for `evaluate --network`.")
    eval_every: int = option(0, help="Epochs between scores; 0: only at the end.", min=0)
    eval_samples: int | None = option(None, help="Number of samples that are scored; default: 10,000.", min=1)
    trust: bool = trust_option()
    dry_run: bool = option(False, "-n", help="Check the options, estimate the time, and stop.")
