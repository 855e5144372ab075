"""`improved-gan export`: a run's classifier, features or generator as one file, ONNX or torch.export."""

import hashlib
import json
import os
from functools import partial
from pathlib import Path
from typing import Any

from rich.console import Console

from improved_gan.commands.trust import trust_or_ask
from improved_gan.export.errors import ExportError
from improved_gan.export.export_module import ExportSpec, make_export_module
from improved_gan.export.model_card import card_of, markdown, versions
from improved_gan.export.serialize import FORMATS, captured
from improved_gan.export.verify import largest_differences
from improved_gan.metrics.network import digest_of
from improved_gan.runs import Networks, Run
from improved_gan.training.checkpoints import write_atomically
from improved_gan.training.errors import RunError
from improved_gan.training.reporting import say, warn

__all__ = ["run_export"]


def run_export(
    run: Path,
    *,
    what: str,
    format_: str,
    out: Path,
    layout: str,
    unfinished: bool,
    console: Console,
    trust: bool = False,
) -> dict[str, Any]:
    """Write OUT, verified against the run's network, and its model card as .card.json and .card.md.

    Returns:
        The model card.

    Raises:
        RunError: no such run, or one that is not finished.
        ExportError: invalid options, a missing package, or a file whose outputs differ.
    """
    if format_ not in FORMATS:
        raise ExportError(f"--format must be one of {', '.join(FORMATS)}; got {format_!r}")
    suffix, write, run_file = FORMATS[format_]
    if out.suffix != suffix:
        raise ExportError(f"a file of format {format_} ends in {suffix}: give --out {out.with_suffix(suffix).name}")
    networks = Run(run).load(warn=partial(warn, console), trust=trust_or_ask(console, trust=trust))
    log = _finished_log(run, networks, unfinished=unfinished)
    spec = make_export_module(
        what,
        networks.generator,
        networks.discriminator,
        image_shape=networks.run.image_shape,
        class_names=networks.run.class_names,
        layout=layout,
    )
    network = networks.generator if what == "generator" else networks.discriminator
    packages = versions(*(("onnx", "onnxscript", "onnxruntime") if format_ == "onnx" else ()))
    card = card_of(
        spec,
        networks.run.settings,
        log,
        step=networks.step,
        weights_sha256=digest_of(network.state_dict()),
        layout=layout,
        packages=packages,
    )
    program, card["batch_norms_folded"] = captured(spec)
    out.parent.mkdir(parents=True, exist_ok=True)
    temporary = out.with_name(f".{os.getpid()}.{out.name}")  # the suffix tells the format
    try:
        write(program, spec, card, temporary)
        _complete(card, spec, temporary, out, differences=largest_differences(spec, run_file(temporary)))
        card["checked_in"] = "onnxruntime" if format_ == "onnx" else "torch.export, loaded again"
        with temporary.open("r+b") as file:  # Windows flushes only files open for writing
            os.fsync(file.fileno())
        temporary.replace(out)
    finally:
        temporary.unlink(missing_ok=True)
    _finish(card, out, console)
    return card


def _finished_log(run: Path, networks: Networks, *, unfinished: bool) -> list[dict[str, Any]]:
    log = [line for line in networks.run.log.lines if line["step"] <= networks.step]
    epochs = networks.run.settings["epochs"]
    if not unfinished and not (log and log[-1]["epoch"] >= epochs):
        stands = f"step {networks.step}" + (f", after epoch {log[-1]['epoch']}" if log else "")
        raise RunError(
            f"{run} is not finished ({stands} of {epochs} epochs): run its train command again, or export it "
            "with --allow-incomplete"
        )
    return log


def _complete(card: dict[str, Any], spec: ExportSpec, file: Path, out: Path, *, differences: dict[str, float]) -> None:
    card["file"], card["bytes"] = out.name, file.stat().st_size
    card["sha256"] = hashlib.sha256(file.read_bytes()).hexdigest()
    card["largest_difference"] = differences


def _finish(card: dict[str, Any], out: Path, console: Console) -> None:
    """Write the card, and print a summary."""
    write_atomically(out.with_suffix(".card.json"), json.dumps(card, indent=1).encode())
    write_atomically(out.with_suffix(".card.md"), markdown(card).encode())
    names = ", ".join(one["name"] for one in card["outputs"])
    say(console, f"{card['what']} in {out}: {card['input']['name']} {tuple(card['input']['shape'])} -> {names}")
    largest = max(card["largest_difference"].values())
    say(console, f"{card['bytes']:,} bytes, agrees with the run to {largest:.1e} in {card['checked_in']}")
    say(console, f"model card: {out.with_suffix('.card.md')} and .card.json; please fill in the license")
