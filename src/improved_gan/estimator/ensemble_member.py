"""One trained pair of networks, a member of an ensemble. It is pickled as arrays and rebuilt from them."""

from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from improved_gan.estimator.architecture import Architecture
from improved_gan.training.state import with_prefix

__all__ = ["EnsembleMember", "Prediction"]

_CHUNK = 1000


class Prediction(NamedTuple):
    """The outputs of a member for N examples, in float64."""

    log_probabilities: np.ndarray  # (N, K)
    real_score: np.ndarray  # (N,) log D/(1 - D)
    features: np.ndarray  # (N, A)


class EnsembleMember:
    """A generator, and a classifier with averaged weights, both in evaluation mode.

    A dense classifier computes in float64 on a CPU, so that the output for a row does not depend on the other rows of
    its batch; a convolutional one, and all on a GPU, in float32.

    Args:
        choice: how the networks are built.
        tensors: their float32 values, under `generator.` and `classifier.`.
        state: all that is needed to train on (`TrainingState.tensors`); None where that is not wanted.
        device: where to compute predictions.

    Raises:
        ValueError: tensors of other networks.
    """

    def __init__(
        self,
        choice: Architecture,
        tensors: dict[str, Tensor],
        state: dict[str, Tensor] | None = None,
        device: str = "cpu",
    ) -> None:
        self.choice, self.tensors, self.state, self.device = choice, tensors, state, device
        precise = choice.network == "dense" and not device.startswith("cuda")
        self._precision = torch.float64 if precise else torch.float32
        with torch.device("meta"):  # nothing is drawn, so the global random state stays as it is
            self._generator, self._classifier = choice.build_generator(), choice.build_discriminator()
        try:
            self._generator.load_state_dict(with_prefix(tensors, "generator"), assign=True)
            self._classifier.load_state_dict(with_prefix(tensors, "classifier"), assign=True)
        except RuntimeError as error:
            raise ValueError(f"these weights are not those of a {choice.describe()}: {error}") from error
        self._generator.eval().requires_grad_(False)
        self._classifier.eval().requires_grad_(False).to(device, self._precision)

    @torch.no_grad()
    def predict(self, images: Tensor) -> Prediction:
        """Predictions for images (N, C, H, W) in [0, 1]."""
        output = self._classifier(images.to(self.device, self._precision))
        logits, features = output.logits.double().cpu(), output.features.double().cpu()
        return Prediction(logits.log_softmax(1).numpy(), logits.logsumexp(1).numpy(), features.flatten(1).numpy())

    @property
    def num_features(self) -> int:
        """A, how many features an example has."""
        return int(self.predict(torch.zeros(1, *self.choice.image_shape)).features.shape[1])

    @torch.no_grad()
    def sample(self, num: int, *, seed: int) -> Tensor:
        """(num, C, H, W) float32 in [0, 1], from latents that depend on the seed alone."""
        latents = self._generator.draw_latents(num, source=torch.Generator().manual_seed(seed))
        return torch.cat([self._generator(some) for some in torch.split(latents, _CHUNK)])

    def __reduce__(self) -> tuple[Any, ...]:
        """As arrays: networks with normalized weights do not pickle."""
        state = None if self.state is None else _arrays(self.state)
        return _rebuilt, (self.choice, _arrays(self.tensors), state, self.device)


def _arrays(tensors: dict[str, Tensor]) -> dict[str, np.ndarray]:
    return {name: value.numpy() for name, value in tensors.items()}


def _rebuilt(
    choice: Architecture, tensors: dict[str, np.ndarray], state: dict[str, np.ndarray] | None, device: str
) -> EnsembleMember:
    """From arrays, which joblib may have mapped from a file that must not be written; a GPU may be gone meanwhile."""
    if device.startswith("cuda") and not torch.cuda.is_available():
        device = "cpu"
    return EnsembleMember(choice, _tensors(tensors), None if state is None else _tensors(state), device)


def _tensors(arrays: dict[str, np.ndarray]) -> dict[str, Tensor]:
    return {name: torch.from_numpy(np.array(value)) for name, value in arrays.items()}
