"""Metrics of samples during training: Inception score and Fréchet distance with any classifier.

They are only logged: training does not depend on them, and the random state does not change.
"""

from collections.abc import Callable, Iterator
from functools import partial

import numpy as np
import torch
from rich.console import Console
from torch import Tensor

from improved_gan.console import say, warn
from improved_gan.data.dataset import DataError
from improved_gan.embeddings.networks import INCEPTION, choose_network
from improved_gan.metrics import MetricError, inception_score
from improved_gan.metrics.frechet_distance import FeatureStatistics, frechet_distance
from improved_gan.metrics.inception import Outputs
from improved_gan.metrics.network import ScoringNetwork
from improved_gan.networks import Generator
from improved_gan.runs.build import Experiment
from improved_gan.runs.own_code import Trust
from improved_gan.training.sampling import sample

__all__ = ["SampleScores", "Score", "sample_scores", "some_of"]

Score = Callable[[Generator], dict[str, float]]

_NUM, _SPLITS, _BATCH, _SEED = 10_000, 10, 100, 1


class SampleScores:
    """Scores a generator's samples.

    Args:
        network: the scoring network.
        real: (N, C, H, W) uint8 images that the samples are compared with.
        num: number of samples, at least 10.
    """

    def __init__(self, network: ScoringNetwork, real: Tensor, *, num: int) -> None:
        if num < _SPLITS:
            raise MetricError(f"the score has {_SPLITS} splits, so it needs at least as many samples; got {num}")
        self._network, self._real_images, self._num = network, real, num
        self._real: FeatureStatistics | None = None
        next(self._outputs(real[:2]))  # fails before training if the network cannot take such images

    def __call__(self, generator: Generator) -> dict[str, float]:
        """`samples/inception_score`, its standard deviation over 10 splits, and `samples/frechet_distance`."""
        if self._real is None:
            self._real = FeatureStatistics.of(torch.cat([one.features for one in self._outputs(self._real_images)]))
        outputs = list(self._outputs(sample(generator, self._num, seed=_SEED)))
        score = inception_score(torch.cat([one.logits for one in outputs]).double().softmax(1), _SPLITS)
        features = FeatureStatistics.of(torch.cat([one.features for one in outputs]))
        return {
            "samples/inception_score": score.mean,
            "samples/inception_score_std": score.std,
            "samples/frechet_distance": frechet_distance(features, self._real),
        }

    def _outputs(self, images: Tensor) -> Iterator[Outputs]:
        network, channels, size = self._network, images.shape[1], tuple(images.shape[2:])
        if channels == 1 and network.channels == 3:
            images = images.expand(-1, 3, -1, -1)
        elif channels != network.channels:
            raise MetricError(f"{network.name} takes {network.channels} channels, the samples have {channels}")
        if network.size is not None and network.size != size:
            raise MetricError(f"{network.name} takes images of {network.size} pixels, the samples have {size}")
        for some in torch.split(images, _BATCH):
            yield network.run(torch.stack([network.prepare(image) for image in some]))


def sample_scores(
    experiment: Experiment,
    network: str | None,
    *,
    num: int | None,
    every: int,
    console: Console,
    trust: Trust = False,
) -> SampleScores | None:
    """The scorer of this run's samples; None if no scores are wanted.

    A recipe that reports an Inception score (table 3) is scored by Inception unless another network is given; if its
    weights are not available, training continues without scores, with a warning.

    Raises:
        DataError, MetricError, RunError: the network does not exist or cannot be used.
    """
    if network is None and (num is not None or every):
        raise MetricError(
            "--eval-every and --eval-samples need --eval-network, a name as `evaluate --network` takes it"
        )
    wanted = num or experiment.recipe.score_samples or _NUM
    if network is None and not experiment.recipe.score_samples:
        return None
    device = str(experiment.device)
    try:
        chosen = choose_network(network or INCEPTION, device=device, warn=partial(warn, console), trust=trust)
    except DataError as error:
        if network is not None:
            raise
        warn(console, f"samples will not be scored at the end: {error}")
        return None
    say(console, f"{wanted} samples are scored by {chosen.name} (sha256 {chosen.digest[:12]})")
    real = experiment.data.test.images if len(experiment.data.test) else experiment.data.train.images
    return SampleScores(chosen, some_of(real, wanted), num=wanted)


def some_of(images: Tensor, num: int) -> Tensor:
    """At most `num` of the images, drawn with a fixed seed (their order may be by class).

    >>> some_of(torch.arange(3), 5)
    tensor([0, 1, 2])
    """
    if len(images) <= num:
        return images
    return images[torch.from_numpy(np.random.RandomState(_SEED).permutation(len(images))[:num])]
