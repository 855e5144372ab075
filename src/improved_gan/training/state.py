"""Everything that a run must remember, as one flat dictionary of tensors."""

from dataclasses import dataclass, field

import torch
from torch import Tensor

from improved_gan.models.interface import Discriminator, Generator
from improved_gan.techniques import WeightAverage
from improved_gan.training.sampling import averaged_generator
from improved_gan.training.step import Optimizers

__all__ = ["TrainingState", "below"]


@dataclass
class TrainingState:
    """Networks, averaged weights, optimisers, random state, and where the run stands.

    `tensors` and `load` are inverse to each other: a run that continues from a checkpoint takes the same steps, bit
    for bit, as one that was never interrupted (same machine, same number of threads).
    """

    generator: Generator
    discriminator: Discriminator
    optimizers: Optimizers
    average: WeightAverage
    generator_average: WeightAverage | None = None  # of the weights that make samples
    histories: torch.nn.Module | None = None  # means of both players' past, where they pay for leaving them
    step: int = 0
    seconds: float = 0.0  # of training, over all starts
    totals: dict[str, Tensor] = field(default_factory=dict)  # sums of terms since the last report
    num_summed: int = 0

    def add(self, terms: dict[str, Tensor]) -> None:
        """Count one step and add its terms to the totals."""
        self.step += 1
        self.num_summed += 1
        for name, value in terms.items():
            if name in self.totals:
                self.totals[name] += value
            else:
                self.totals[name] = value.double()  # a copy: terms come in float32

    def take_means(self) -> dict[str, float]:
        """The mean of each term since the last call; starts the next sums."""
        means = {name: total.item() / self.num_summed for name, total in self.totals.items()}
        self.totals, self.num_summed = {}, 0
        return means

    def sampling_generator(self) -> Generator:
        """What samples are made with: the averaged weights where they are kept, else the generator itself."""
        if self.generator_average is None:
            return self.generator
        return averaged_generator(self.generator, self.generator_average)

    def not_finite(self) -> list[str]:
        """Names of the sums, and of the networks, that hold a number that is not finite."""
        names = [name for name, total in self.totals.items() if not total.isfinite()]
        for name, module in self._modules().items():
            if not all(bool(value.isfinite().all()) for value in module.state_dict().values()):
                names.append(f"a weight of the {name}")
        return names

    def tensors(self) -> dict[str, Tensor]:
        """The state by name, on the CPU."""
        result = {
            "progress.step": torch.tensor(self.step),
            "progress.seconds": torch.tensor(self.seconds, dtype=torch.float64),
            "progress.num_summed": torch.tensor(self.num_summed),
            "random.cpu": torch.get_rng_state(),
        }
        if self._device.type == "cuda":
            result["random.cuda"] = torch.cuda.get_rng_state(self._device)
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
            module.load_state_dict(below(tensors, prefix))
        for player, optimizer in self._optimizers().items():
            state: dict[int, dict[str, Tensor]] = {}
            for name, value in below(tensors, f"optimizer.{player}").items():
                index, key = name.split(".")
                state.setdefault(int(index), {})[key] = value
            optimizer.load_state_dict({"state": state, "param_groups": optimizer.state_dict()["param_groups"]})
        self.totals = {name: value.to(self._device) for name, value in below(tensors, "totals").items()}
        self.num_summed = int(tensors["progress.num_summed"])
        self.step, self.seconds = int(tensors["progress.step"]), float(tensors["progress.seconds"])
        torch.set_rng_state(tensors["random.cpu"])
        if self._device.type == "cuda" and "random.cuda" in tensors:
            torch.cuda.set_rng_state(tensors["random.cuda"], self._device)

    @property
    def _device(self) -> torch.device:
        return next(self.discriminator.parameters()).device

    def _modules(self) -> dict[str, torch.nn.Module]:
        modules = {"generator": self.generator, "discriminator": self.discriminator, "average": self.average}
        optional = {"generator_average": self.generator_average, "histories": self.histories}
        return modules | {name: module for name, module in optional.items() if module is not None}

    def _optimizers(self) -> dict[str, torch.optim.Optimizer]:
        return {"generator": self.optimizers.generator, "discriminator": self.optimizers.discriminator}


def below(tensors: dict[str, Tensor], prefix: str) -> dict[str, Tensor]:
    """The entries under `prefix.`, without it."""
    return {name[len(prefix) + 1 :]: value for name, value in tensors.items() if name.startswith(f"{prefix}.")}
