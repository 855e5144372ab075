from collections.abc import Callable, Iterator
from contextlib import suppress

import pytest
import torch

from improved_gan.metrics.float32 import full_float32

BACKENDS = torch.backends
SETTINGS: dict[str, Callable[[], object]] = {
    "cuDNN": lambda: BACKENDS.cudnn.allow_tf32,
    "convolutions": lambda: BACKENDS.cudnn.conv.fp32_precision,
    "recurrent": lambda: BACKENDS.cudnn.rnn.fp32_precision,
    "products": lambda: BACKENDS.cuda.matmul.fp32_precision,
    "products, older": lambda: BACKENDS.cuda.matmul.allow_tf32,
    "products of all backends": torch.get_float32_matmul_precision,
    "oneDNN's products": lambda: BACKENDS.mkldnn.matmul.fp32_precision,
    "oneDNN's convolutions": lambda: BACKENDS.mkldnn.conv.fp32_precision,
    "others": lambda: (BACKENDS.cudnn.enabled, BACKENDS.cudnn.benchmark, BACKENDS.cudnn.deterministic),
}


def settings() -> dict[str, object]:
    """With "error" for one that contradicts another."""
    found: dict[str, object] = {}
    for name, get in SETTINGS.items():
        try:
            found[name] = get()
        except RuntimeError:
            found[name] = "error"
    return found


@pytest.fixture(autouse=True)
def as_before() -> Iterator[None]:
    yield
    BACKENDS.fp32_precision = "none"
    BACKENDS.cudnn.allow_tf32 = True
    torch.set_float32_matmul_precision("highest")
    BACKENDS.cuda.matmul.fp32_precision = BACKENDS.mkldnn.matmul.fp32_precision = "none"


def older() -> None:
    BACKENDS.cuda.matmul.allow_tf32 = True


def newer() -> None:
    BACKENDS.cudnn.conv.fp32_precision = "ieee"
    BACKENDS.cuda.matmul.fp32_precision = "tf32"


@pytest.mark.parametrize("change", [lambda: None, older, newer, lambda: torch.set_float32_matmul_precision("medium")])
def test_no_shortcuts_within_and_everything_as_before_afterwards(change: Callable[[], None]) -> None:
    change()
    before = settings()
    within = within_a_failing_call()
    assert (within["convolutions"], within["recurrent"], within["products"]) == ("ieee", "ieee", "ieee")
    assert (within["oneDNN's products"], within["oneDNN's convolutions"]) == ("ieee", "ieee")
    if change is not newer:
        assert (within["cuDNN"], within["products, older"]) == (False, False)
    assert within["others"] == before["others"]
    assert settings() == before


def within_a_failing_call() -> dict[str, object]:
    found: dict[str, object] = {}
    with suppress(ZeroDivisionError), full_float32():
        found.update(settings())
        raise ZeroDivisionError
    return found


def test_calls_that_overlap_restore_once_all_have_left() -> None:
    torch.set_float32_matmul_precision("high")
    before = settings()
    first, second = full_float32(), full_float32()
    first.__enter__()
    second.__enter__()
    first.__exit__(None, None, None)
    assert settings()["products"] == "ieee"
    second.__exit__(None, None, None)
    assert settings() == before


def test_inherited_settings_are_inherited_afterwards() -> None:
    BACKENDS.fp32_precision = "tf32"
    with full_float32():
        pass
    BACKENDS.fp32_precision = "ieee"
    assert {settings()[one] for one in ("recurrent", "products", "oneDNN's products")} == {"ieee"}
