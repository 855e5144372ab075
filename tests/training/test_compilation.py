import copy

import pytest
import torch
from torch import nn

from improved_gan.training.compilation import compile_networks, uncompiled


def test_without_a_compiler_there_is_a_one_line_warning(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(function: object) -> object:
        raise RuntimeError("InvalidCxxCompiler: none found\nlong trace")

    monkeypatch.setattr(torch, "compile", broken)
    warnings: list[str] = []
    network = nn.Linear(2, 2)
    assert not compile_networks(network, warn=warnings.append)
    assert warnings == ["training without torch.compile: RuntimeError: InvalidCxxCompiler: none found"]
    assert network(torch.ones(1, 2)).shape == (1, 2)


@pytest.mark.slow
def test_compiled_networks_give_the_same_numbers_and_keep_their_names() -> None:
    plain = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 1))
    compiled, warnings = copy.deepcopy(plain), []
    inputs = torch.randn(6, 4)
    if not compile_networks(compiled, warn=warnings.append):
        pytest.skip(warnings[0])
    for network in (plain, compiled):
        network(inputs).sum().backward()
    torch.testing.assert_close(compiled(inputs), plain(inputs))
    for a, b in zip(plain.parameters(), compiled.parameters(), strict=True):
        torch.testing.assert_close(a.grad, b.grad)
    assert list(compiled.state_dict()) == list(plain.state_dict())
    with uncompiled():
        assert torch.equal(compiled(inputs[:3]), plain(inputs[:3]))
