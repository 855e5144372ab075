"""Everything that a run must remember, as one flat dictionary of tensors.

Over several ranks networks, optimizers and sums are the same everywhere; only the random state is each rank's own. A
checkpoint has those of all ranks (`random.cpu`, `random.cpu.1`, ...), so that the same number of processes goes on bit
for bit. With more processes than before, a new rank begins a stream that follows from rank 0's state and its number.
"""

import hashlib
from dataclasses import dataclass, field

import torch
from torch import Tensor

from improved_gan.distributed import gather_with_gradient, rank, world_size
from improved_gan.kernels.random_source import get_random_state, seed_random_numbers, set_random_state
from improved_gan.networks.interface import Discriminator, Generator
from improved_gan.techniques import WeightEMA
from improved_gan.training.sampling import ema_generator
from improved_gan.training.step import Optimizers

__all__ = ["TrainingState", "fork_rng_state", "seed_rank", "with_prefix"]


@dataclass
class TrainingState:
    """Networks, averaged weights, optimizers, random state, and where the run stands.

    `tensors` and `load` are inverse to each other: a run that continues from a checkpoint takes the same steps, bit
    for bit, as one that was never interrupted (same machine, same number of threads).
    """

    generator: Generator
    discriminator: Discriminator
    optimizers: Optimizers
    average: WeightEMA
    generator_ema: WeightEMA | None = None  # of the weights that make samples
    parameter_averages: torch.nn.Module | None = None  # means of both players' past, where they pay for leaving them
    pseudo_labels: torch.nn.Module | None = None  # classes that are guessed anew in the course of the run
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
                self.totals[name] = value.double()  # a copy: terms come in float32

    def means(self) -> dict[str, float]:
        """The mean of each term since the last report; the sums stay as they are."""
        return {name: total.item() / self.num_accumulated for name, total in self.totals.items()}

    def pop_means(self) -> dict[str, float]:
        """The mean of each term since the last call; starts the next sums."""
        means = self.means()
        self.totals, self.num_accumulated = {}, 0
        return means

    def sampling_generator(self) -> Generator:
        """What samples are made with: the averaged weights where they are kept, else the generator itself."""
        if self.generator_ema is None:
            return self.generator
        return ema_generator(self.generator, self.generator_ema)

    def not_finite(self) -> list[str]:
        """Names of the sums, and of the networks, that hold a number that is not finite."""
        names = [name for name, total in self.totals.items() if not total.isfinite()]
        for name, module in self._modules().items():
            if not all(bool(value.isfinite().all()) for value in module.state_dict().values()):
                names.append(f"a weight of the {name}")
        return names

    def tensors(self) -> dict[str, Tensor]:
        """The state by name, on the CPU, with every rank's random state: all ranks must ask for it."""
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
        for player, optimizer in self._optimizers().items():
            for index, values in optimizer.state_dict()["state"].items():
                result |= {f"optimizer.{player}.{index}.{name}": value for name, value in values.items()}
        return {name: value.detach().cpu().contiguous() for name, value in result.items()}

    def load(self, tensors: dict[str, Tensor]) -> None:
        """Become the state that `tensors` describes.

        Raises:
            RuntimeError, KeyError: the networks are not those that wrote it.
        """
        for prefix, module in self._modules().items():
            module.load_state_dict(with_prefix(tensors, prefix))
        for player, optimizer in self._optimizers().items():
            state: dict[int, dict[str, Tensor]] = {}
            for name, value in with_prefix(tensors, f"optimizer.{player}").items():
                index, key = name.split(".")
                state.setdefault(int(index), {})[key] = value
            _take_memory_format(optimizer, state)
            optimizer.load_state_dict({"state": state, "param_groups": optimizer.state_dict()["param_groups"]})
        self.totals = {name: value.to(self._device) for name, value in with_prefix(tensors, "totals").items()}
        self.num_accumulated = int(tensors["progress.num_accumulated"])
        self.step, self.seconds = int(tensors["progress.step"]), float(tensors["progress.seconds"])
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
        modules = {"generator": self.generator, "discriminator": self.discriminator, "average": self.average}
        optional = {
            "generator_ema": self.generator_ema,
            "parameter_averages": self.parameter_averages,
            "pseudo_labels": self.pseudo_labels,
        }
        return modules | {name: module for name, module in optional.items() if module is not None}

    def _optimizers(self) -> dict[str, torch.optim.Optimizer]:
        return {"generator": self.optimizers.generator, "discriminator": self.optimizers.discriminator}


def with_prefix(tensors: dict[str, Tensor], prefix: str) -> dict[str, Tensor]:
    """The entries under `prefix.`, without it."""
    return {name[len(prefix) + 1 :]: value for name, value in tensors.items() if name.startswith(f"{prefix}.")}


def seed_rank(common: Tensor) -> None:
    """Let this rank draw from a stream of its own, which follows from a random state common to all; rank 0 keeps it.

    Args:
        common: uint8, as `torch.get_rng_state()` gives it.
    """
    if rank() == 0:
        set_random_state(common)
        return
    seed_random_numbers(_seed_of(common, rank()))


def fork_rng_state(tensors: dict[str, Tensor], number: int) -> dict[str, Tensor]:
    """A state (`TrainingState.tensors`) whose random streams follow from its own and a number; 0 leaves it as it is.

    Models that were trained in one step each share a stream; one that goes on alone is to have its own.
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
    """Every rank's random state: rank 0's under the name that one process uses."""
    states = gather_with_gradient(state.cpu()[None]) if world_size() > 1 else state[None]
    return {name if number == 0 else f"{name}.{number}": one for number, one in enumerate(states)}


def _take_memory_format(optimizer: torch.optim.Optimizer, state: dict[int, dict[str, Tensor]]) -> None:
    """Lay moments out as their parameters are: the fused Adam reads both in the order of memory."""
    parameters = [parameter for group in optimizer.param_groups for parameter in group["params"]]
    for index, values in state.items():
        for key, value in values.items():
            if value.shape == parameters[index].shape:
                values[key] = torch.empty_like(parameters[index], dtype=value.dtype, device="cpu").copy_(value)
