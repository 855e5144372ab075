import pytest
import torch

from improved_gan.metrics import MetricError
from improved_gan.metrics.inception_layout import check_state, shapes


def test_the_network_has_the_known_number_of_parameters() -> None:
    """torchvision's Inception v3 has 27,161,264 with 1000 outputs and an auxiliary head; ours has 1008 outputs."""
    sizes = {name: torch.Size(shape).numel() for name, shape in shapes().items()}
    learned = sum(size for name, size in sizes.items() if "running" not in name)
    auxiliary = 3_326_696
    assert learned - 8 * 2049 == 27_161_264 - auxiliary


def test_other_weights_are_refused() -> None:
    state = {name: torch.zeros(1).expand(shape) for name, shape in shapes().items()}
    check_state(state)
    with pytest.raises(MetricError, match=r"fc.weight must be \(1008, 2048\); got \(1000, 2048\)"):
        check_state(state | {"fc.weight": torch.zeros(1000, 2048)})
    with pytest.raises(MetricError, match=r"Conv2d_1a_3x3.conv.weight is missing"):
        check_state({"conv.weight": torch.zeros(1)})
