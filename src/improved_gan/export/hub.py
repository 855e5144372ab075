"""Runs, generators and estimators in the layout of the Hugging Face Hub; loading executes no code of the repository.

model.safetensors   the weights
config.json         kind of model, versions, SHA-256 of the weights; for an estimator all its settings
recipe.json         of runs and generators: the settings of the run, from which the networks are built
log.jsonl           of runs and generators: the reports of training
README.md           the model card, with the Hub's front matter
"""

import hashlib
import json
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

import safetensors
import safetensors.torch
from torch import Tensor, nn

from improved_gan import __version__
from improved_gan.export.errors import ExportError
from improved_gan.export.model_card import LICENSE, PAPER, evaluation_of, labels_of, one_line
from improved_gan.io import write_atomically
from improved_gan.networks.interface import Generator
from improved_gan.optional_import import optional_import
from improved_gan.recipes.recipe import RecipeError
from improved_gan.runs import Networks, Run
from improved_gan.runs.identity import with_recorded_settings
from improved_gan.training.errors import RunError

if TYPE_CHECKING:
    from improved_gan.estimator import SemiSupervisedGANClassifier

__all__ = ["from_pretrained", "load", "push_to_hub", "save"]

Model: TypeAlias = "Networks | SemiSupervisedGANClassifier"
Loaded: TypeAlias = "Networks | Generator | SemiSupervisedGANClassifier"

FILES = ("README.md", "config.json", "log.jsonl", "model.safetensors", "recipe.json")
_PARTS = ("networks", "generator")
_ESTIMATOR = "SemiSupervisedGANClassifier"
_REPOSITORY = re.compile(r"[\w.-]+/[\w.-]+")


def save(model: Model, folder: str | Path, *, part: str = "networks", repo_id: str = "OWNER/NAME") -> None:
    """Write a model as a folder that the Hub shows and `load` reads.

    Args:
        model: what `Run(...).load(...)` returns, or a fitted estimator.
        folder: new, empty, or one that holds only files of this layout.
        part: of a run: "networks" (discriminator, and generator if there is one), or "generator".
        repo_id: the repository that the card's example names.

    Raises:
        ExportError: a folder that holds something else, a run of a recipe file (loading it would execute code), a run
            on embeddings (its pretrained network would be missing), or a run without what `part` names.
        ValueError: an estimator with a parameter that is no JSON.
    """
    folder = Path(folder)
    if foreign := sorted(file.name for file in folder.glob("*") if file.name not in (*FILES, ".cache")):
        raise ExportError(f"{folder} contains other files ({foreign[0]}): give a new folder")
    if isinstance(model, Networks):
        _save_networks(model, folder, part, repo_id)
    elif hasattr(model, "members_"):
        model.save(folder)
        write_atomically(folder / "README.md", _estimator_card(model, repo_id).encode())
    else:
        raise ExportError(
            f"save takes what Run(...).load(...) returns or a fitted estimator; got {type(model).__name__}"
        )


def load(folder: str | Path) -> Loaded:
    """The model that `save` wrote: `Networks` or a generator, on the CPU in evaluation mode, or an estimator.

    Only JSON and safetensors are read. The networks are those of the installed package's recipe.

    Raises:
        ExportError: no such folder, damaged files, or a recipe that this version does not have in this form.
    """
    folder = Path(folder)
    config = _config(folder)
    if config.get("kind") == _ESTIMATOR:
        return _load_estimator(folder)
    if config.get("kind") not in _PARTS:
        kinds = ", ".join((*_PARTS, _ESTIMATOR))
        raise ExportError(f"{folder / 'config.json'} describes {config.get('kind')!r}, not one of {kinds}")
    tensors = _tensors(folder / "model.safetensors", config)
    run = Run(folder)
    try:
        if run.code_sha256 is not None:
            raise ExportError(f"{folder} is of a recipe file, whose code is never executed: load the run folder itself")
        return _rebuilt(run, config, tensors)
    except (RunError, RecipeError, RuntimeError, KeyError, TypeError) as error:
        raise ExportError(
            f"{folder}, written by improved-gan {config.get('improved_gan')}, does not fit version {__version__}, or "
            f"is damaged: {error}"
        ) from error


def push_to_hub(
    model: Model, repo_id: str, *, part: str = "networks", private: bool = False, token: str | None = None
) -> str:
    """Save a model and upload it; the repository is made if there is none.

    Args:
        model: as in `save`.
        repo_id: OWNER/NAME.
        part: as in `save`.
        private: whether a new repository is private.
        token: of the Hub; default: that of `hf auth login`.

    Returns:
        The address of the commit.

    Raises:
        ExportError: as in `save`, no huggingface_hub, or what the Hub answers.
    """
    from tempfile import TemporaryDirectory

    hub = _hub()
    _check_repository(repo_id)
    with TemporaryDirectory() as folder:
        save(model, folder, part=part, repo_id=repo_id)
        try:
            api = hub.HfApi(token=token)
            api.create_repo(repo_id, private=private, exist_ok=True)
            message = f"improved-gan {__version__}"
            commit = api.upload_folder(repo_id=repo_id, folder_path=folder, commit_message=message)
        except Exception as error:  # the client passes on what its HTTP library raises, whose name differs by version
            raise ExportError(f"the upload to {repo_id} failed: {one_line(error)}") from error
    return str(commit.commit_url)


def from_pretrained(source: str | Path, *, revision: str | None = None, token: str | None = None) -> Loaded:
    """`load` of a folder, or of a repository of the Hub, of which only the files of this layout are downloaded.

    Args:
        source: a folder, or OWNER/NAME.
        revision: branch, tag or commit of the repository.
        token: of the Hub; default: that of `hf auth login`.

    Raises:
        ExportError: as in `load`, no huggingface_hub, or what the Hub answers.
    """
    if Path(source).is_dir():
        return load(source)
    _check_repository(str(source))
    hub = _hub()
    try:
        folder = hub.snapshot_download(str(source), revision=revision, token=token, allow_patterns=list(FILES))
    except Exception as error:  # as above
        raise ExportError(f"the download of {source} failed: {one_line(error)}") from error
    return load(folder)


def _hub() -> Any:
    try:
        return optional_import("huggingface_hub")
    except ModuleNotFoundError as error:
        raise ExportError("huggingface_hub is not installed: pip install 'improved-gan[hub]'") from error


def _check_repository(name: str) -> None:
    if not _REPOSITORY.fullmatch(name):
        raise ExportError(f"{name!r} is neither a folder nor a repository of the form OWNER/NAME")


def _save_networks(networks: Networks, folder: Path, part: str, repo_id: str) -> None:
    run = networks.run
    if part not in _PARTS:
        raise ExportError(f"part must be one of {', '.join(_PARTS)}; got {part!r}")
    if run.code_sha256 is not None:
        raise ExportError(
            f"{run.path} was made from a recipe file, and loading it would execute that code: only runs of built-in "
            "recipes and of train-folder have this layout"
        )
    if run.embedding is not None:
        raise ExportError("a run on embeddings has no folder for the Hub: take --format onnx or torch")
    modules: dict[str, nn.Module] = {}
    if part == "networks":
        modules["discriminator"] = networks.discriminator
    if part == "generator" or networks.maybe_generator is not None:
        modules["generator"] = networks.generator
    tensors = {
        f"{prefix}.{name}": value.detach().cpu().contiguous().clone()
        for prefix, module in modules.items()
        for name, value in module.state_dict().items()
    }
    content = safetensors.torch.save(tensors, metadata={"format": "pt"})
    config = {
        "kind": part,
        "library_name": "improved-gan",
        "improved_gan": __version__,
        "recipe": run.settings["recipe"],
        "step": networks.step,
        "image_shape": list(run.image_shape),
        "class_names": run.class_names,
        "tensors_sha256": hashlib.sha256(content).hexdigest(),
    }
    lines = [line for line in run.log.lines if line["step"] <= networks.step]
    folder.mkdir(parents=True, exist_ok=True)
    write_atomically(folder / "recipe.json", run.recipe_file.read_bytes())
    write_atomically(folder / "log.jsonl", "".join(json.dumps(line) + "\n" for line in lines).encode())
    write_atomically(folder / "README.md", _networks_card(networks, part, lines[-1] if lines else {}, repo_id).encode())
    write_atomically(folder / "config.json", json.dumps(config, indent=1).encode())
    write_atomically(folder / "model.safetensors", content)


def _config(folder: Path) -> dict[str, Any]:
    path = folder / "config.json"
    try:
        config = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ExportError(f"{path} cannot be read ({error}): give a folder that save wrote") from error
    if not isinstance(config, dict):
        raise ExportError(f"{path} describes no model: give a folder that save wrote")
    return config


def _tensors(path: Path, config: dict[str, Any]) -> dict[str, Tensor]:
    try:
        content = path.read_bytes()
        tensors: dict[str, Tensor] = safetensors.torch.load(content)
    except (OSError, safetensors.SafetensorError) as error:
        raise ExportError(f"{path} cannot be read ({error}): save the model again") from error
    if config.get("tensors_sha256") != hashlib.sha256(content).hexdigest():
        raise ExportError(f"{path} does not match its config.json: save or download the model again")
    return tensors


def _load_estimator(folder: Path) -> "SemiSupervisedGANClassifier":
    from improved_gan.estimator import SemiSupervisedGANClassifier

    try:
        return SemiSupervisedGANClassifier.load(folder)
    except ValueError as error:
        raise ExportError(str(error)) from error


def _rebuilt(run: Run, config: dict[str, Any], tensors: dict[str, Tensor]) -> Networks | Generator:
    recipe = with_recorded_settings(run.recipe(), run.settings, file=run.recipe_file)
    generator = None if recipe.generator is None else recipe.generator()
    if generator is not None:
        generator.load_state_dict(_with_prefix(tensors, "generator"))
        generator.eval()
    if config["kind"] == "generator":
        if generator is None:
            raise KeyError(f"recipe {recipe.name} has no generator")
        return generator
    discriminator = recipe.discriminator()
    discriminator.load_state_dict(_with_prefix(tensors, "discriminator"))
    return Networks(run, generator, discriminator.eval(), int(config["step"]))


def _with_prefix(tensors: dict[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {name.removeprefix(f"{prefix}."): one for name, one in tensors.items() if name.startswith(f"{prefix}.")}


def _front_matter(*, pipeline: str | None, tags: tuple[str, ...]) -> str:
    """YAML, whose strings and lists may be those of JSON."""
    entries = {"library_name": "improved-gan", "license": "other", "tags": ["gan", "arxiv:1606.03498", *tags]}
    entries |= {} if pipeline is None else {"pipeline_tag": pipeline}
    return "---\n" + "".join(f"{name}: {json.dumps(value)}\n" for name, value in entries.items()) + "---\n"


def _networks_card(networks: Networks, part: str, last: dict[str, Any], repo_id: str) -> str:
    settings, classes = networks.run.settings, networks.run.class_names
    generates = part == "generator" or len(classes) < 2
    evaluation, labels = evaluation_of(last), labels_of(settings["label_split"], classes)
    error = evaluation["error"]
    measured = "not measured" if error is None else f"{error:.2%} of the {evaluation['part']} images"
    name = "generator" if part == "generator" else "networks"
    use = """images = generator(generator.draw_latents(16))  # (N, C, H, W) in [0, 1]""" if part == "generator" else (
        "logits = networks.discriminator(images).logits  # images (N, C, H, W) in [0, 1]"
    )  # fmt: skip
    channels, height, width = networks.run.image_shape
    front = _front_matter(
        pipeline="unconditional-image-generation" if generates else "image-classification",
        tags=() if generates else ("semi-supervised-learning",),
    )
    return f"""{front}
# {one_line(repo_id)}

The {"generator" if part == "generator" else "trained networks"} of a run of improved-gan, recipe
`{one_line(settings["recipe"])}`: images of {width} x {height} pixels with {channels} channel(s).

```python
from improved_gan.export.hub import from_pretrained  # pip install 'improved-gan[hub]'

{name} = from_pretrained("{one_line(repo_id)}")
{use}
```

- Classes: {", ".join(f"`{one_line(one)}`" for one in classes) or "none"}.
- Labels in training: {labels["number"]}. Epochs: {last.get("epoch")} of {settings["epochs"]}; step {networks.step}; \
seed {settings["seed"]}.
- Error of the run's classifier: {measured}; the paper: \
{one_line(settings.get("description", {}).get("paper"))}.
- Method: {PAPER}. Code: improved-gan {settings["improved_gan"]}.

License: {LICENSE}
"""


def _estimator_card(model: "SemiSupervisedGANClassifier", repo_id: str) -> str:
    classes = ", ".join(f"`{one_line(one)}`" for one in model.classes_.tolist())
    return f"""{_front_matter(pipeline=None, tags=("semi-supervised-learning", "sklearn"))}
# {one_line(repo_id)}

A `SemiSupervisedGANClassifier` of improved-gan ({len(model.members_)} network(s), recipe `{one_line(model.recipe_)}`).

```python
from improved_gan.export.hub import from_pretrained  # pip install 'improved-gan[hub,sklearn]'

model = from_pretrained("{one_line(repo_id)}")
model.predict(X)
```

- Classes: {classes}.
- Method: {PAPER}. Code: improved-gan {__version__}.

License: {LICENSE}
"""
