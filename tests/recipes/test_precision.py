import json
from dataclasses import replace

import pytest
import torch

from improved_gan.recipes import digits
from improved_gan.recipes.precision import fastest_precision, resolve_precision
from improved_gan.recipes.registry import find_recipe
from improved_gan.runs.build import Experiment

CPU = torch.device("cpu")


@pytest.mark.parametrize(
    ("units", "precision"),
    [
        ({"avx2": True}, "float32"),
        ({"avx512_bf16": False, "amx_bf16": False}, "float32"),
        ({"cpu_name": "AMD EPYC", "avx512_bf16": True}, "bfloat16"),
        ({"cpu_name": "Intel Xeon", "avx512_bf16": True, "amx_bf16": True}, "bfloat16"),
        ({"cpu_name": "Intel Xeon", "avx512_bf16": True, "amx_bf16": False}, "float32"),  # half of float32's rate
        ({"architecture": "aarch64", "bf16": True}, "bfloat16"),
    ],
)
def test_bfloat16_where_the_processor_is_faster_in_it(
    monkeypatch: pytest.MonkeyPatch, units: dict[str, object], precision: str
) -> None:
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: units)
    monkeypatch.setattr(torch.cpu, "_init_amx", lambda: units.get("amx_bf16", False))
    monkeypatch.setattr(torch.backends.mkldnn, "is_available", lambda: True)
    assert fastest_precision(CPU) == precision
    assert resolve_precision(find_recipe("cifar10"), CPU).precision == precision


@pytest.mark.parametrize(("name", "precision"), [("Intel Xeon", "float32"), ("AMD EPYC", "bfloat16")])
def test_tiles_that_the_system_does_not_permit_do_not_count(
    monkeypatch: pytest.MonkeyPatch, name: str, precision: str
) -> None:
    units = {"cpu_name": name, "avx512_bf16": True, "amx_bf16": True}
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: units)
    monkeypatch.setattr(torch.cpu, "_init_amx", lambda: False)
    monkeypatch.setattr(torch.backends.mkldnn, "is_available", lambda: True)
    assert fastest_precision(CPU) == precision


def test_a_pytorch_that_cannot_ask_for_tiles_is_trusted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {"cpu_name": "Intel Xeon", "amx_bf16": True})
    monkeypatch.delattr(torch.cpu, "_init_amx")
    monkeypatch.setattr(torch.backends.mkldnn, "is_available", lambda: True)
    assert fastest_precision(CPU) == "bfloat16"


def test_float32_without_the_library_that_uses_the_instructions(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {"architecture": "arm64", "bf16": True})
    monkeypatch.setattr(torch.backends.mkldnn, "is_available", lambda: False)
    assert fastest_precision(CPU) == "float32"


@pytest.mark.parametrize("supported", [True, False])
def test_emulation_on_a_gpu_does_not_count(monkeypatch: pytest.MonkeyPatch, supported: bool) -> None:
    asked: list[bool] = []
    monkeypatch.setattr(
        torch.cuda, "is_bf16_supported", lambda including_emulation=True: asked.append(including_emulation) or supported
    )
    assert fastest_precision(torch.device("cuda")) == ("bfloat16" if supported else "float32")
    assert asked == [False]


def test_a_resumed_run_keeps_its_precision_and_a_set_one_stays() -> None:
    assert resolve_precision(find_recipe("cifar10"), CPU, recorded="float32").precision == "float32"
    assert resolve_precision(digits(), CPU, recorded="bfloat16").precision == "float32"


def test_an_experiment_resolves_and_records_the_precision() -> None:
    experiment = Experiment.prepare(
        replace(digits(), precision="auto"), seed=1, split_seed=1, data_folder=None, device="cpu"
    )
    assert experiment.recipe.precision == fastest_precision(CPU)
    assert json.loads(json.dumps(experiment.settings()))["values"]["precision"] == fastest_precision(CPU)
