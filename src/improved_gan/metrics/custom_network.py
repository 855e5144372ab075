"""A user's classifier as a scoring network, with a hash that changes whenever its outputs may.

Hashed are the source files of its module and of the modules that it imports from its own folder or the working
directory, and from those again; the tensors of an `nn.Module`; and its outputs for 32 fixed noise images. The last
covers weights in closures, in files, or of other libraries.
"""

import ast
import hashlib
import importlib
import sys
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from improved_gan.metrics.errors import MetricError
from improved_gan.metrics.feature_cache import CHUNK
from improved_gan.metrics.float32 import full_float32
from improved_gan.metrics.inception import Outputs
from improved_gan.metrics.network import ScoringNetwork, check_logits, digest_of
from improved_gan.modes import in_mode

__all__ = ["custom_network"]

_PROBED = (32, 64, 28, 224, 299)  # sides of the noise images, where no image_shape is given; the first that works


def custom_network(spec: str) -> ScoringNetwork:
    """A user's classifier: `module:name`, where name is a callable, best an `nn.Module`.

    It takes (N, C, H, W) uint8 and returns logits (N, K), or a pair of features (N, A) and logits. Its attribute
    `image_shape`, (C, H, W), declares the images that it takes; without it images are in color and must have one size.

    Raises:
        MetricError: no such module or name, no callable, or one that fails or gives no logits (or
            probabilities in their place) for noise images.
    """
    module, function = _found(spec)
    channels, size = _image_shape(spec, function)

    @full_float32()
    @torch.no_grad()
    def run(images: Tensor) -> Outputs:
        try:
            with in_mode(function, training=False) if isinstance(function, nn.Module) else nullcontext():
                result = function(images)
        except Exception as error:
            raise MetricError(f"{spec} fails on images {tuple(images.shape)}: {_line(error)}") from error
        return _outputs(result, spec, len(images))

    digest = hashlib.sha256(_probe(run, spec, channels, size).encode())
    for source in sorted(set(_sources(module))):
        digest.update(source.read_bytes())
    if isinstance(function, nn.Module):
        digest.update(digest_of(function.state_dict()).encode())
    resize = "none: all images have one size" if size is None else f"Pillow bicubic to {size[1]} x {size[0]}"
    own = function if isinstance(function, nn.Module) else None
    return ScoringNetwork(
        spec, digest.hexdigest(), channels, size, resize, "float32", lambda image: image, run, module=own,
        input_size=size,
    )  # fmt: skip


def _found(spec: str) -> tuple[ModuleType, Callable[[Tensor], Any]]:
    module_name, _, name = spec.partition(":")
    if not (module_name and name):
        raise MetricError(f"a classifier of your own is given as module:function; got {spec!r}")
    sys.path.insert(0, str(Path.cwd()))
    try:
        module = importlib.import_module(module_name)
    except Exception as error:
        text = f"cannot import {module_name!r} ({_line(error)}): is it in this folder or installed, and does it run?"
        raise MetricError(text) from error
    finally:
        sys.path.pop(0)
    function = getattr(module, name, None)
    if not callable(function):
        raise MetricError(f"{module_name} has no callable {name!r}")
    return module, function


def _image_shape(spec: str, function: object) -> tuple[int, tuple[int, int] | None]:
    shape = getattr(function, "image_shape", None)
    if shape is None:
        return 3, None
    try:
        channels, height, width = (int(one) for one in shape)
    except (TypeError, ValueError):
        channels = height = width = 0
    if channels not in (1, 3) or min(height, width) < 1:
        raise MetricError(f"image_shape of {spec} must be (C, H, W) with C 1 or 3; got {shape!r}")
    return channels, (height, width)


def _probe(run: Callable[[Tensor], Outputs], spec: str, channels: int, size: tuple[int, int] | None) -> str:
    """The network's outputs for fixed noise, to few digits and on one thread: the same for any number of threads."""
    sizes = [size] if size is not None else [(side, side) for side in _PROBED]
    threads, problem = torch.get_num_threads(), None
    torch.set_num_threads(1)
    try:
        for height, width in sizes:
            noise = np.random.RandomState(0).randint(0, 256, (CHUNK, channels, height, width)).astype(np.uint8)
            try:
                outputs = run(torch.from_numpy(noise))
            except MetricError as error:
                problem = problem or error
            else:
                check_logits(outputs.logits, spec)  # here only: few rows of real logits might sum to 1 by chance
                return _fingerprint(outputs)
    finally:
        torch.set_num_threads(threads)
    advice = "" if size is not None else "; if it takes one kind of images only, give it an image_shape = (C, H, W)"
    raise MetricError(f"{problem}{advice}") from problem


def _fingerprint(outputs: Outputs) -> str:
    """Shapes, and weighted sums of features and logits to four digits."""
    parts = []
    for one in outputs:
        values = one.double().flatten().numpy()
        weights = np.random.RandomState(1).uniform(0.5, 1.5, (2, len(values)))
        weights[1] *= np.where(np.arange(len(values)) % 2, 1, -1)
        parts += [str(tuple(one.shape)), *(f"{weight @ values:.3e}" for weight in weights)]
    return " ".join(parts)


def _sources(module: ModuleType) -> Iterator[Path]:
    """The source files of the module and of what it imports from its own folder or the working directory."""
    waiting, seen = [module], {module.__name__}
    roots: list[Path] = [Path.cwd()]
    while waiting:
        one = waiting.pop()
        file = Path(getattr(one, "__file__", None) or "")
        if not file.is_file():
            continue
        if one is module:
            roots.append(file.resolve().parent)
        elif not _is_own(one, file.resolve(), roots):
            continue
        yield file
        for name in _imported(one, file):
            if name in sys.modules and name not in seen:
                seen.add(name)
                waiting.append(sys.modules[name])


def _is_own(module: ModuleType, file: Path, roots: list[Path]) -> bool:
    installed = {"site-packages", "dist-packages"} & set(file.parts) or module.__name__.startswith("improved_gan")
    return not installed and any(file.is_relative_to(root.resolve()) for root in roots)


def _imported(module: ModuleType, file: Path) -> set[str]:
    """Names of modules that a source file may import."""
    if file.suffix != ".py":
        return set()
    found: set[str] = set()
    for node in ast.walk(ast.parse(file.read_bytes())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            package = (module.__package__ or "").split(".")
            base = package[: len(package) - node.level + 1] if node.level else []
            origin = ".".join([*base, *([node.module] if node.module else [])])
            found |= {origin} | {f"{origin}.{alias.name}" for alias in node.names}
    return found


def _outputs(result: object, spec: str, num: int) -> Outputs:
    pair = result if isinstance(result, tuple) else (result, result)
    if len(pair) != 2 or not all(isinstance(one, Tensor) and one.dim() == 2 and len(one) == num for one in pair):
        raise MetricError(f"{spec} must return logits ({num}, K), or features and logits, for {num} images")
    features, logits = pair
    return Outputs(features.detach().float().cpu(), logits.detach().float().cpu())


def _line(error: Exception) -> str:
    """Kind and first line of an error."""
    return f"{type(error).__name__}: {(str(error).strip().splitlines() or [''])[0]}"
