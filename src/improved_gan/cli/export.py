"""`improved-gan export`: a run's classifier, features or generator as one file, ONNX or torch.export."""

import hashlib
import json
import os
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from improved_gan.cli.options import check_written, option
from improved_gan.cli.shared import run_argument, trust_option
from improved_gan.cli.trust import trust_or_ask

if TYPE_CHECKING:
    from rich.console import Console

    from improved_gan.export.export_module import ExportSpec
    from improved_gan.runs import Networks
    from improved_gan.runs.own_code import Trust

__all__ = ["ExportOptions", "export", "export_run"]


@dataclass(frozen=True)
class ExportOptions:
    """The options of `export`."""

    run: Path = run_argument()
    out: Path = option(help="The file to write, *.onnx or *.pt2, with a model card beside it; with hub a folder.")
    head: str = option("classifier", help="Part to export: classifier, features or generator.")
    format: str = option("onnx", help="onnx, torch (torch.export), or hub (a folder for the Hugging Face Hub).")
    layout: str = option("nhwc", help="Axes of images: nhwc (N, H, W, C), as in Pillow and NumPy, or nchw.")
    trust: bool = trust_option()
    allow_incomplete: bool = option(False, help="Export a run that is not finished.")

    def __post_init__(self) -> None:
        check_written(self.out, "folder" if self.format == "hub" else "file", param_hint="--out")


def export(options: ExportOptions, console: "Console") -> None:
    """Export a trained network to a file that runs without this package, with a model card; the output is verified.

    The file includes the conversion from uint8, but no resizing. Weight normalization, batch normalization and the
    reference batch are fused.

    Example: `improved-gan export runs/mnist --head classifier --format onnx --out mnist.onnx`.
    """
    if options.format == "hub":
        _export_folder(options, console)
    else:
        export_run(options, console)


def _export_folder(options: ExportOptions, console: "Console") -> None:
    """Write the folder OUT in the layout of the Hugging Face Hub."""
    from improved_gan.console import say, warn
    from improved_gan.export.errors import ExportError
    from improved_gan.export.hub import save
    from improved_gan.runs import Run

    parts = {"classifier": "networks", "generator": "generator"}
    if options.head not in parts:
        raise ExportError(f"--format hub takes --head classifier (all networks) or generator; got {options.head!r}")
    if options.layout != "nhwc":
        raise ExportError("--layout is of onnx and torch: the networks of --format hub take (N, C, H, W)")
    networks = Run(options.run).load(warn=partial(warn, console), trust=trust_or_ask(console, trust=options.trust))
    _finished_log(options.run, networks, allow_incomplete=options.allow_incomplete)
    save(networks, options.out, part=parts[options.head])
    say(console, f"{options.out}: model.safetensors, config.json and README.md; please fill in the license")


def export_run(options: ExportOptions, console: "Console") -> dict[str, Any]:
    """Write OUT, verified against the run's network, and its model card as .card.json and .card.md.

    Returns:
        The model card.

    Raises:
        RunError: no such run, or one that is not finished.
        ExportError: invalid options, a missing package, or a file whose outputs differ.
    """
    from improved_gan.console import warn
    from improved_gan.export.errors import ExportError
    from improved_gan.export.serialize import FORMATS, captured, largest_differences
    from improved_gan.runs import Run

    out = options.out
    if options.format not in FORMATS:
        raise ExportError(f"--format must be one of {', '.join((*FORMATS, 'hub'))}; got {options.format!r}")
    suffix, write, run_file = FORMATS[options.format]
    if out.suffix != suffix:
        raise ExportError(
            f"a file of format {options.format} ends in {suffix}: give --out {out.with_suffix(suffix).name}"
        )
    trust = trust_or_ask(console, trust=options.trust)
    networks = Run(options.run).load(warn=partial(warn, console), trust=trust)
    log = _finished_log(options.run, networks, allow_incomplete=options.allow_incomplete)
    spec, card = _specify(options, networks, log, trust)
    program, card["batch_norms_folded"] = captured(spec)
    out.parent.mkdir(parents=True, exist_ok=True)
    temporary = out.with_name(f".{os.getpid()}.{out.name}")  # the suffix tells the format
    try:
        write(program, spec, card, temporary)
        _complete(card, spec, temporary, out, differences=largest_differences(spec, run_file(temporary)))
        card["checked_in"] = "onnxruntime" if options.format == "onnx" else "torch.export, loaded again"
        with temporary.open("r+b") as file:  # Windows flushes only files open for writing
            os.fsync(file.fileno())
        temporary.replace(out)
    finally:
        temporary.unlink(missing_ok=True)
    _finish(card, out, console)
    return card


def _specify(
    options: ExportOptions, networks: "Networks", log: list[dict[str, Any]], trust: "Trust"
) -> tuple["ExportSpec", dict[str, Any]]:
    """What is exported, and its model card without the facts about the file."""
    from improved_gan.export.export_module import make_export_module
    from improved_gan.export.model_card import card_of, versions
    from improved_gan.metrics.network import digest_of

    if networks.run.embedding is not None:
        spec = _specify_embedding_classifier(options, networks, trust)
    else:
        spec = make_export_module(
            options.head,
            networks.generator if options.head == "generator" else networks.maybe_generator,
            networks.discriminator,
            image_shape=networks.run.image_shape,
            class_names=networks.run.class_names,
            layout=options.layout,
        )
    network = networks.generator if options.head == "generator" else networks.discriminator
    packages = versions(*(("onnx", "onnxscript", "onnxruntime") if options.format == "onnx" else ()))
    return spec, card_of(
        spec,
        networks.run.settings,
        log,
        step=networks.step,
        weights_sha256=digest_of(network.state_dict()),
        layout=options.layout,
        packages=packages,
    )


def _specify_embedding_classifier(options: ExportOptions, networks: "Networks", trust: "Trust") -> "ExportSpec":
    """The classifier of a run on embeddings with its pretrained network, where that is of PyTorch or ONNX."""
    from improved_gan.embeddings.backbone import load_backbone
    from improved_gan.export.errors import ExportError
    from improved_gan.export.export_module import make_embedding_classifier

    backbone = load_backbone(networks.run, trust=trust)
    assert backbone is not None
    network = backbone.network
    if options.head != "classifier":
        raise ExportError(f"of a run on embeddings only --head classifier can be exported; got {options.head!r}")
    kept = network.module or network.onnx
    if kept is None or network.input_size is None:
        raise ExportError(
            f"{network.name} is neither a PyTorch module nor an ONNX file for any number of images of one size, so it "
            "cannot be written into the same file: use improved-gan classify"
        )
    if network.module is None and options.format != "onnx":
        raise ExportError(f"{network.name} is an ONNX file, which can only be a part of another one: --format onnx")
    return make_embedding_classifier(
        kept,
        backbone.scaling,
        networks.discriminator,
        image_shape=(network.channels, *network.input_size),
        class_names=networks.run.class_names,
        layout=options.layout,
    )


def _finished_log(run: Path, networks: "Networks", *, allow_incomplete: bool) -> list[dict[str, Any]]:
    from improved_gan.training.errors import RunError

    log = [line for line in networks.run.log.lines if line["step"] <= networks.step]
    epochs = networks.run.settings["epochs"]
    if not allow_incomplete and not (log and log[-1]["epoch"] >= epochs):
        stands = f"step {networks.step}" + (f", after epoch {log[-1]['epoch']}" if log else "")
        raise RunError(
            f"{run} is not finished ({stands} of {epochs} epochs): run its train command again, or export it "
            "with --allow-incomplete"
        )
    return log


def _complete(
    card: dict[str, Any], spec: "ExportSpec", file: Path, out: Path, *, differences: dict[str, float]
) -> None:
    card["file"], card["bytes"] = out.name, file.stat().st_size
    card["sha256"] = hashlib.sha256(file.read_bytes()).hexdigest()
    card["largest_difference"] = differences


def _finish(card: dict[str, Any], out: Path, console: "Console") -> None:
    """Write the card, and print a summary."""
    from improved_gan.console import say
    from improved_gan.export.model_card import markdown
    from improved_gan.io import write_atomically

    write_atomically(out.with_suffix(".card.json"), json.dumps(card, indent=1).encode())
    write_atomically(out.with_suffix(".card.md"), markdown(card).encode())
    names = ", ".join(one["name"] for one in card["outputs"])
    say(console, f"{card['what']} in {out}: {card['input']['name']} {tuple(card['input']['shape'])} -> {names}")
    largest = max(card["largest_difference"].values())
    say(console, f"{card['bytes']:,} bytes, agrees with the run to {largest:.1e} in {card['checked_in']}")
    say(console, f"model card: {out.with_suffix('.card.md')} and .card.json; please fill in the license")
