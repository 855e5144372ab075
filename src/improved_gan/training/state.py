"""The complete state of a run, as one flat dictionary of tensors, and the checkpoints that hold it.

Over several ranks networks, optimizers and sums are equal; only the random state differs. A checkpoint has those of all
ranks (`random.cpu`, `random.cpu.1`, ...), so that the same number of processes resumes bit for bit. With more processes
than before, a new rank's random stream is seeded from rank 0's state and its rank.

A checkpoint holds tensors only. It is written under a temporary name, flushed to disk and renamed, so it is there whole
or not at all; it contains the SHA-256 of its tensors, checked when read, and the fingerprint of the run's settings. The
newest two are kept, so that a damaged one costs little.
"""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import safetensors
import safetensors.torch
import torch
from torch import Tensor

from improved_gan.distributed import gather_with_gradient, rank, world_size
from improved_gan.io import write_atomically
from improved_gan.kernels.random_source import get_random_state, seed_random_numbers, set_random_state
from improved_gan.networks.interface import Discriminator, Generator
from improved_gan.techniques.weight_ema import WeightEMA
from improved_gan.training.errors import RunError
from improved_gan.training.sampling import ema_generator
from improved_gan.training.step import Optimizers

__all__ = [
    "TrainingState",
    "fork_rng_state",
    "load_checkpoint",
    "load_newest",
    "newest_checkpoint",
    "save_checkpoint",
    "seed_rank",
    "with_prefix",
]


@dataclass
class TrainingState:
    """Networks, averaged weights, optimizers, random state, and progress.

    `tensors` and `load` are inverse to each other: a resumed run takes the same steps, bit for bit, as one that was
    never interrupted (same machine, same number of threads).
    """

    generator: Generator | None  # None where no GAN is trained
    discriminator: Discriminator
    optimizers: Optimizers
    average: WeightEMA
    generator_ema: WeightEMA | None = None  # of the weights for samples
    parameter_averages: torch.nn.Module | None = None  # of historical averaging, where it is used
    pseudo_labels: torch.nn.Module | None = None  # pseudo-labels that are renewed during the run
    step: int = 0
    seconds: float = 0.0  # of training, over all starts
    totals: dict[str, Tensor] = field(default_factory=dict)  # sums of terms since the last report
    num_accumulated: int = 0

    def add(self, terms: dict[str, Tensor]) -> None:
        """Count one step and add its terms to the totals."""
        self.step += 1
        self.num_accumulated += 1
        for name, value in terms.items():
            if name in self.totals:
                self.totals[name] += value
            else:
                self.totals[name] = value.double()  # converts, so it copies: terms are float32

    def means(self) -> dict[str, float]:
        """The mean of each term since the last report; the sums are kept."""
        return {name: total.item() / self.num_accumulated for name, total in self.totals.items()}

    def pop_means(self) -> dict[str, float]:
        """The mean of each term since the last call; starts the next sums."""
        means = self.means()
        self.totals, self.num_accumulated = {}, 0
        return means

    def sampling_generator(self) -> Generator | None:
        """The generator for samples: with averaged weights if there are any, else the generator itself, if any."""
        if self.generator is None or self.generator_ema is None:
            return self.generator
        return ema_generator(self.generator, self.generator_ema)

    def not_finite(self) -> list[str]:
        """Names of the sums and networks with a number that is not finite."""
        names = [name for name, total in self.totals.items() if not total.isfinite()]
        for name, module in self._modules().items():
            if not all(bool(value.isfinite().all()) for value in module.state_dict().values()):
                names.append(f"a weight of the {name}")
        return names

    def tensors(self) -> dict[str, Tensor]:
        """The state by name, on the CPU, with every rank's random state: a collective operation."""
        result = {
            "progress.step": torch.tensor(self.step),
            "progress.seconds": torch.tensor(self.seconds, dtype=torch.float64),
            "progress.num_accumulated": torch.tensor(self.num_accumulated),
            **_of_ranks("random.cpu", get_random_state()),
        }
        if self._device.type == "cuda":
            result |= _of_ranks("random.cuda", get_random_state(self._device))
        result |= {f"totals.{name}": total for name, total in self.totals.items()}
        for prefix, module in self._modules().items():
            result |= {f"{prefix}.{name}": value for name, value in module.state_dict().items()}
        for network, optimizer in self._optimizers().items():
            for index, values in optimizer.state_dict()["state"].items():
                result |= {f"optimizer.{network}.{index}.{name}": value for name, value in values.items()}
        return {name: value.detach().cpu().contiguous() for name, value in result.items()}

    def load(self, tensors: dict[str, Tensor]) -> None:
        """Load what `tensors` returned.

        Raises:
            RuntimeError, KeyError: the networks have other parameters.
        """
        for prefix, module in self._modules().items():
            module.load_state_dict(with_prefix(tensors, prefix))
        for network, optimizer in self._optimizers().items():
            state: dict[int, dict[str, Tensor]] = {}
            for name, value in with_prefix(tensors, f"optimizer.{network}").items():
                index, key = name.split(".")
                state.setdefault(int(index), {})[key] = value
            _take_memory_format(optimizer, state)
            optimizer.load_state_dict({"state": state, "param_groups": optimizer.state_dict()["param_groups"]})
        self.totals = {name: value.to(self._device) for name, value in with_prefix(tensors, "totals").items()}
        self.num_accumulated = int(tensors["progress.num_accumulated"])
        self.step, self.seconds = int(tensors["progress.step"]), float(tensors["progress.seconds"])
        # Last: loading above must not draw, and nothing may draw between here and the next step.
        own = "" if rank() == 0 else f".{rank()}"
        if f"random.cpu{own}" not in tensors:  # there were fewer ranks when it was saved
            seed_rank(tensors["random.cpu"])
            return
        set_random_state(tensors[f"random.cpu{own}"])
        if self._device.type == "cuda" and f"random.cuda{own}" in tensors:
            set_random_state(tensors[f"random.cuda{own}"], self._device)

    @property
    def _device(self) -> torch.device:
        return next(self.discriminator.parameters()).device

    def _modules(self) -> dict[str, torch.nn.Module]:
        modules: dict[str, torch.nn.Module] = {} if self.generator is None else {"generator": self.generator}
        modules |= {"discriminator": self.discriminator, "average": self.average}
        optional = {
            "generator_ema": self.generator_ema,
            "parameter_averages": self.parameter_averages,
            "pseudo_labels": self.pseudo_labels,
        }
        return modules | {name: module for name, module in optional.items() if module is not None}

    def _optimizers(self) -> dict[str, torch.optim.Optimizer]:
        both = {"generator": self.optimizers.generator, "discriminator": self.optimizers.discriminator}
        return {name: optimizer for name, optimizer in both.items() if optimizer is not None}


def with_prefix(tensors: dict[str, Tensor], prefix: str) -> dict[str, Tensor]:
    """The entries under `prefix.`, without it."""
    return {name[len(prefix) + 1 :]: value for name, value in tensors.items() if name.startswith(f"{prefix}.")}


def seed_rank(common: Tensor) -> None:
    """Give each rank its own random stream, seeded from a state common to all and its rank; rank 0 keeps that state.

    Args:
        common: uint8, as from `torch.get_rng_state()`.
    """
    if rank() == 0:
        set_random_state(common)
        return
    seed_random_numbers(_seed_of(common, rank()))


def fork_rng_state(tensors: dict[str, Tensor], number: int) -> dict[str, Tensor]:
    """`TrainingState.tensors` with random streams seeded from its own and a number; 0 changes nothing.

    Models trained in one vmapped step share a stream; each one's checkpoint must resume with a different one.
    """
    if number == 0:
        return tensors
    seed = _seed_of(tensors["random.cpu"], number)
    result = tensors | {"random.cpu": torch.Generator().manual_seed(seed).get_state()}
    if "random.cuda" in tensors:
        result["random.cuda"] = torch.Generator("cuda").manual_seed(seed).get_state()
    return result


def _seed_of(state: Tensor, number: int) -> int:
    digest = hashlib.sha256(state.numpy().tobytes() + number.to_bytes(8, "little")).digest()
    return int.from_bytes(digest[:8], "little")


def _of_ranks(name: str, state: Tensor) -> dict[str, Tensor]:
    """Every rank's random state; rank 0's has the name that a single process uses."""
    states = gather_with_gradient(state.cpu()[None]) if world_size() > 1 else state[None]
    return {name if number == 0 else f"{name}.{number}": one for number, one in enumerate(states)}


def _take_memory_format(optimizer: torch.optim.Optimizer, state: dict[int, dict[str, Tensor]]) -> None:
    """Give moments the memory format of their parameters: fused Adam reads both in memory order."""
    parameters = [parameter for group in optimizer.param_groups for parameter in group["params"]]
    for index, values in state.items():
        for key, value in values.items():
            if value.shape == parameters[index].shape:
                values[key] = torch.empty_like(parameters[index], dtype=value.dtype, device="cpu").copy_(value)


_KEPT = 2


def save_checkpoint(folder: Path, step: int, tensors: dict[str, Tensor], *, fingerprint: str) -> Path:
    """Write `folder/step-00000012.safetensors` and delete all but it and the one before.

    Files of later steps are deleted too: they were damaged, so the run resumed from an earlier one.

    Raises:
        RunError: the disk is full or the folder cannot be written; earlier checkpoints stay as they are.
    """
    path = folder / f"step-{step:08d}.safetensors"
    metadata = {"fingerprint": fingerprint, "sha256": _digest(tensors, fingerprint)}
    try:
        folder.mkdir(parents=True, exist_ok=True)
        write_atomically(path, safetensors.torch.save(tensors, metadata))
    except OSError as error:
        last = _newest_first(folder)
        kept = f"the last good one, {last[0].name}, is kept and continued from" if last else "there was none before it"
        raise RunError(
            f"could not save the checkpoint of step {step} ({error.strerror or error}); {kept}: "
            "make room and run the same command again"
        ) from error
    paths = _newest_first(folder)
    for other in [*paths[: paths.index(path)], *paths[paths.index(path) + _KEPT :]]:
        other.unlink(missing_ok=True)
    return path


def newest_checkpoint(folder: Path) -> str | None:
    """The name of the newest checkpoint, damaged or not; None if there is none."""
    paths = _newest_first(folder)
    return paths[0].name if paths else None


def load_newest(folder: Path, *, fingerprint: str, warn: Callable[[str], None]) -> dict[str, Tensor] | None:
    """The tensors of the newest undamaged checkpoint; None if there is no checkpoint.

    Args:
        folder: the run's checkpoint folder.
        fingerprint: that of the run's settings, which the checkpoint must have.
        warn: called with a message for each damaged checkpoint that is skipped.

    Raises:
        RunError: a checkpoint has other settings or cannot be opened, or all are damaged.
    """
    paths = _newest_first(folder)
    for path in paths:
        try:
            return load_checkpoint(path, fingerprint=fingerprint)
        except DamagedError as error:
            warn(f"{path.name} is damaged ({error}); using the previous one")
    if paths:
        raise RunError(f"every checkpoint in {folder} is damaged: delete the run folder and start again")
    return None


def load_checkpoint(path: Path, *, fingerprint: str) -> dict[str, Tensor]:
    """The tensors of one checkpoint.

    Raises:
        DamagedError: the file is damaged.
        RunError: it has other settings, or cannot be opened, which does not mean that it is damaged.
    """
    try:
        path.open("rb").close()  # safetensors calls every such error "no such file"
    except OSError as error:
        raise RunError(f"{path} cannot be read: {error.strerror or error}") from error
    try:
        with safetensors.safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (not a dictionary)
    except Exception as error:  # the reader may fail in any way on wrong bytes
        raise DamagedError(f"{type(error).__name__}: {error}") from error
    if metadata.get("sha256") != _digest(tensors, metadata.get("fingerprint", "")):
        raise DamagedError("its content does not match its checksum")
    if metadata.get("fingerprint") != fingerprint:
        raise RunError(f"{path} was made with other settings than the run folder's recipe.json says; use another --out")
    return tensors


class DamagedError(Exception):
    """A checkpoint that cannot be read or does not match its checksum."""


def _newest_first(folder: Path) -> list[Path]:
    return sorted(folder.glob("step-*.safetensors"), reverse=True)


def _digest(tensors: dict[str, Tensor], fingerprint: str) -> str:
    digest = hashlib.sha256(fingerprint.encode())
    for name in sorted(tensors):
        value = tensors[name]
        digest.update(f"{name} {value.dtype} {tuple(value.shape)} ".encode())
        digest.update(value.contiguous().flatten().view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()
