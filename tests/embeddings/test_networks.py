from pathlib import Path

import pytest

from improved_gan.data import DataError
from improved_gan.embeddings.networks import choose_network
from improved_gan.metrics import MetricError


def test_a_run_stands_in(trained_run: Path) -> None:
    network = choose_network(str(trained_run))
    assert (network.channels, network.size, network.has_logits) == (1, (8, 8), True)
    assert network.name.startswith("digits classifier of this library, step ")


def test_what_is_no_network(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"there is no network .*: take inception-2015, dinov2-vitb14.*module:function"):
        choose_network(str(tmp_path))
    with pytest.raises(MetricError, match="cannot import"):
        choose_network("no_such_module:f")
    with pytest.raises(MetricError, match=r"there is no network .*none\.onnx"):
        choose_network(str(tmp_path / "none.onnx"))
    with pytest.raises(DataError, match="there is no weight file"):
        choose_network("inception-2015", weights=tmp_path / "none.pth")
    with pytest.raises(DataError, match="--weights are of inception-2015"):
        choose_network("module:function", weights=tmp_path / "none.pth")
