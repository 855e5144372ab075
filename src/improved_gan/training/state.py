"""The complete state of a run, as one flat dictionary of tensors.

Over several ranks networks, optimizers and sums are equal; only the random state differs. A checkpoint has those of all
ranks (`random.cpu`, `random.cpu.1`, ...), so that the same number of processes resumes bit for bit. With more processes
than before, a new rank's random stream is seeded from rank 0's state and its rank.
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
