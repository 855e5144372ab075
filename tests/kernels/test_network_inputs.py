import pytest
import torch

from improved_gan.kernels.network_inputs import network_inputs

LATENTS, LABELS = torch.randn(5, 3), torch.arange(5)


def test_positional_and_keyword_inputs() -> None:
    def function(z: torch.Tensor, y: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        return z, y

    given = [
        network_inputs((LATENTS, LABELS)),
        network_inputs([LATENTS], {"y": LABELS}),
        network_inputs({"y": LABELS, "z": LATENTS}),
        network_inputs({"z": LATENTS}, {"y": LABELS}),
    ]
    for one in given:
        latents, labels = one.call(function)
        assert latents is LATENTS
        assert labels is LABELS
        assert len(one) == 5
    assert given[2].kind() == given[3].kind()  # the order of keywords does not matter
    assert given[0].kind() != given[1].kind() != given[2].kind()
    assert network_inputs(LATENTS).kind() != network_inputs(LATENTS.double()).kind()


def test_row_operations_apply_to_all_inputs() -> None:
    live, fill = network_inputs([LATENTS], {"y": LABELS}), network_inputs([LATENTS[:2] + 9], {"y": LABELS[:2] + 9})
    both = fill.then(live)
    assert both.keywords["y"].tolist() == [9, 10, 0, 1, 2, 3, 4]
    assert torch.equal(both.positional[0][2:], LATENTS)
    assert live.block(0, 4, fill).keywords["y"].tolist() == [0, 1, 2, 3]
    assert live.block(4, 4, fill).keywords["y"].tolist() == [4, 9, 10, 9]
    assert torch.equal(live.block(4, 4, fill).positional[0][1], LATENTS[0] + 9)


def test_description() -> None:
    inputs = network_inputs([LATENTS], {"y": LABELS})
    assert inputs.describe("N") == "(N, 3,) of torch.float32, y=(N,) of torch.int64"
    assert inputs.describe() == "(5, 3) of torch.float32, y=(5,) of torch.int64"


def test_bad_inputs() -> None:
    with pytest.raises(TypeError, match="got int"):
        network_inputs((LATENTS, 3))  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="got none"):
        network_inputs(())
    with pytest.raises(ValueError, match=r"scalar \(\)"):
        network_inputs(torch.tensor(1.0))
    with pytest.raises(ValueError, match=r"same number of rows.*\(5, 3\), \(4,\)"):
        network_inputs((LATENTS, LABELS[:4]))
