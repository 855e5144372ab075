"""The pretrained network of a run on embeddings: from an image file to the input of the run's classifier."""

import hashlib
import importlib.util
import sys
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from torch import Tensor

from improved_gan.data.embeddings import EMBEDDINGS_FILE, EmbeddingScaling, read_scaling
from improved_gan.data.images import decode_image
from improved_gan.data.value_range import ValueRange, stored_range
from improved_gan.embeddings.networks import choose_network, is_code
from improved_gan.metrics.evaluation_images import with_value_range
from improved_gan.metrics.network import ScoringNetwork
from improved_gan.runs.own_code import Trust
from improved_gan.runs.run import Networks, Run
from improved_gan.training.errors import RunError

__all__ = ["Backbone", "load_backbone"]


@dataclass(frozen=True)
class Backbone:
    """A pretrained network and the scaling of its features in a run."""

    network: ScoringNetwork
    scaling: EmbeddingScaling

    def decoder(self, values: ValueRange | None) -> Callable[[str, bytes], Tensor]:
        """A function of name and content that gives the network's input for one image; it raises DataError."""

        def decode(name: str, content: bytes) -> Tensor:
            pixels = decode_image(
                content, name, channels=self.network.channels, size=self.network.size, values=values
            ).pixels
            return self.network.prepare(pixels)

        return decode

    def inputs(self, prepared: Tensor) -> Tensor:
        """(N, ...) of `decoder` -> (N, 1, 1, A) in [0, 1], in 8 bits as in training."""
        return self.scaling.to_bytes(self.network.run(prepared).features).float() / 255

    def before(self, networks: Networks) -> Networks:
        """The run's networks, which take decoded images then."""
        return replace(networks, inputs=self.inputs)


def load_backbone(
    run: Run, *, device: str = "cpu", warn: Callable[[str], None] = lambda _: None, trust: Trust = False
) -> Backbone | None:
    """The network that made a run's embeddings; None for a run on images.

    Args:
        run: the run.
        device: where to run it.
        warn: called with a line of warning.
        trust: whether to import a module that the run names (`module:function`), or a function that asks.

    Raises:
        RunError: another network than that of the run, or code that is not trusted.
        DataError, MetricError: the network is not there.
    """
    about = run.embedding
    if about is None:
        return None
    spec, weights = about["spec"], Path(about["weights"]) if about["weights"] else None
    if is_code(spec):
        _check_trust(run, spec, spec.partition(":")[0], trust)
    network = choose_network(spec, weights=weights, device=device, warn=warn, trust=trust)
    network = with_value_range(network, stored_range(run.settings.get("value_range")))
    if (network.digest, network.resize) != (about["sha256"], about["resize"]):
        raise RunError(
            f"{run.path} was trained on embeddings of {about['network']} (sha256 {about['sha256'][:12]}, "
            f"{about['resize']}), and {spec} is now another network (sha256 {network.digest[:12]}, {network.resize}): "
            "put the old one back, or train again"
        )
    return Backbone(network, read_scaling(run.path / EMBEDDINGS_FILE))


def _check_trust(run: Run, spec: str, module: str, trust: Trust) -> None:
    """A run folder may come from anyone, and importing a module executes it."""
    sys.path.insert(0, str(Path.cwd()))
    try:
        found = importlib.util.find_spec(module.partition(".")[0])
    finally:
        sys.path.pop(0)
    if found is None or found.origin is None or not Path(found.origin).is_file():
        raise RunError(f"{run.path} takes its embeddings from {spec}, and there is no module {module} here")
    file = Path(found.origin)
    digest = hashlib.sha256(file.read_bytes()).hexdigest()
    if not (trust(file, digest) if callable(trust) else trust):
        raise RunError(
            f"{run.path} takes its embeddings from {spec}, and loading it executes {file} (SHA-256 {digest[:12]}): "
            "give --trust (trust=True in Python) if you trust it"
        )
