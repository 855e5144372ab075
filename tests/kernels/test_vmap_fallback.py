import threading

import pytest
import torch

from improved_gan.kernels.noise import Dropout, add_normal
from improved_gan.kernels.vmap_fallback import use_reference_ops, uses_reference_ops
from improved_gan.networks import ConvolutionalDiscriminator, DenseGenerator


def test_holds_while_entered_also_after_an_error_and_in_this_thread_alone() -> None:
    assert not uses_reference_ops()
    elsewhere = []
    with use_reference_ops():
        assert uses_reference_ops()
        thread = threading.Thread(target=lambda: elsewhere.append(uses_reference_ops()))
        thread.start()
        thread.join()
        with use_reference_ops():
            pass
        assert uses_reference_ops()
    assert elsewhere == [False]
    with pytest.raises(ZeroDivisionError), use_reference_ops():
        _ = 1 / 0
    assert not uses_reference_ops()


@pytest.mark.parametrize("layer", [Dropout(0.5), lambda values: add_normal(values, 1.0)])
def test_noise_and_dropout_under_vmap_differ_for_each_model(layer) -> None:
    with use_reference_ops():
        first, second = torch.func.vmap(layer, randomness="different")(torch.ones(2, 1000))
    assert (first != second).double().mean().item() > 0.4
    assert first.mean().item() == pytest.approx(1, abs=0.2)


@pytest.mark.parametrize(
    "network",
    [
        ConvolutionalDiscriminator((1, 12, 12), 3, widths=(4, 8), convolutions=1),
        DenseGenerator((1, 4, 4), hidden=(8, 8)),
    ],
    ids=lambda network: type(network).__name__,
)
def test_compiled_networks_stay_one_graph(network: torch.nn.Module) -> None:
    inputs = torch.rand(5, 100) if isinstance(network, DenseGenerator) else torch.rand(5, 1, 12, 12)
    explained = torch._dynamo.explain(network.train().forward)(inputs)
    assert explained.graph_break_count == 0
    assert explained.graph_count == 1
