"""torch-fidelity and torchmetrics on the same features: equal where they define the same, else as the docs say."""

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from improved_gan.metrics import (
    density_coverage,
    feature_frechet_distance,
    inception_score,
    kernel_inception_distance,
    precision_recall,
    rbf_kernel,
)
from improved_gan.metrics.features import random_order
from tests.oracles.peers import cure_torchvision, peers_missing

pytestmark = [
    pytest.mark.skipif(peers_missing(), reason="torch-fidelity is not installed (docs/metrics/parity.md)"),
    pytest.mark.filterwarnings("ignore"),
]

LOGITS = 2 * torch.randn(203, 20, generator=torch.Generator().manual_seed(0))
FEATURES = torch.randn(300, 16, generator=torch.Generator().manual_seed(1))
REAL = 1.2 * torch.randn(250, 16, generator=torch.Generator().manual_seed(2)) + 0.3


@pytest.fixture(autouse=True)
def _cured() -> None:
    cure_torchvision()


class Given(nn.Module):
    """A network whose features are its input."""

    num_features = 16

    def forward(self, features: Tensor) -> Tensor:
        return features


def test_inception_score_of_torch_fidelity() -> None:
    from torch_fidelity.metric_isc import isc_features_to_metric

    for shuffle in (True, False):
        theirs = isc_features_to_metric(LOGITS, splits=10, shuffle=shuffle)
        order = random_order(203).argsort() if shuffle else torch.arange(203)
        ours = inception_score(LOGITS[order].double().softmax(1))
        assert ours.mean == pytest.approx(theirs["inception_score_mean"], rel=1e-12)
        assert ours.std == pytest.approx(theirs["inception_score_std"], rel=1e-12)


def test_frechet_distance_of_both() -> None:
    from torch_fidelity.metric_fid import fid_features_to_statistics, fid_statistics_to_metric
    from torchmetrics.image.fid import FrechetInceptionDistance

    ours = feature_frechet_distance(FEATURES, REAL)
    statistics = [fid_features_to_statistics(one.double()) for one in (FEATURES, REAL)]
    assert ours == pytest.approx(fid_statistics_to_metric(*statistics, False)["frechet_inception_distance"], rel=1e-9)
    metric = FrechetInceptionDistance(feature=Given()).set_dtype(torch.float64)
    metric.update(FEATURES, real=False)
    metric.update(REAL, real=True)
    assert ours == pytest.approx(float(metric.compute()), rel=1e-4)


def test_kernel_distance_of_both() -> None:
    from torch_fidelity.metric_kid import kid_features_to_metric
    from torchmetrics.image.kid import KernelInceptionDistance

    theirs = kid_features_to_metric(FEATURES.double(), REAL.double(), kid_subset_size=100, verbose=False)
    ours = kernel_inception_distance(FEATURES, REAL, subset_size=100)
    assert ours.mean == pytest.approx(theirs["kernel_inception_distance_mean"], rel=1e-9)
    assert ours.std == pytest.approx(theirs["kernel_inception_distance_std"], rel=1e-9)
    metric = KernelInceptionDistance(feature=Given(), subsets=1, subset_size=250)
    metric.update(FEATURES[:250], real=False)
    metric.update(REAL, real=True)
    whole = kernel_inception_distance(FEATURES[:250], REAL, subsets=1, subset_size=250)
    assert whole.mean == pytest.approx(float(metric.compute()[0]), rel=1e-4)


def test_kernel_distance_of_torch_fidelity_with_the_gaussian_kernel() -> None:
    from torch_fidelity.metric_kid import kid_features_to_metric

    settings = {"kid_subset_size": 100, "kid_kernel": "rbf", "kid_kernel_rbf_sigma": 5.0, "verbose": False}
    theirs = kid_features_to_metric(FEATURES.double(), REAL.double(), **settings)
    ours = kernel_inception_distance(FEATURES, REAL, subset_size=100, kernel=rbf_kernel(5.0))
    assert ours.mean == pytest.approx(theirs["kernel_inception_distance_mean"], rel=1e-9)


def test_precision_and_recall_of_torch_fidelity() -> None:
    """Its first features are the generated ones; before 0.4.0 the two results were exchanged."""
    from torch_fidelity.metric_prc import prc_features_to_metric

    narrow = 0.3 * FEATURES
    for generated, real in ((FEATURES, REAL), (narrow, REAL), (REAL, narrow)):
        theirs = prc_features_to_metric(generated, real, verbose=False)
        ours = precision_recall(generated, real)
        assert ours == pytest.approx((theirs["precision"], theirs["recall"]), abs=1e-6)
    assert precision_recall(narrow, REAL).precision > precision_recall(narrow, REAL).recall + 0.5


def test_density_and_coverage_of_their_authors() -> None:
    prdc = pytest.importorskip("prdc")
    theirs = prdc.compute_prdc(REAL.double().numpy(), FEATURES.double().numpy(), nearest_k=5)
    assert density_coverage(FEATURES, REAL) == pytest.approx((theirs["density"], theirs["coverage"]), rel=1e-9)
    assert precision_recall(FEATURES, REAL, k=5) == pytest.approx((theirs["precision"], theirs["recall"]), rel=1e-9)


def test_torchmetrics_score_differs_in_splits_deviation_and_order() -> None:
    from torchmetrics.image.inception import InceptionScore

    metric = InceptionScore(feature=Given(), splits=10)
    metric.update(LOGITS)
    torch.manual_seed(1)
    first = metric.compute()
    metric._computed = None
    torch.manual_seed(2)
    assert float(first[0]) != float(metric.compute()[0])  # the global random state decides
    torch.manual_seed(1)
    order = torch.randperm(203)
    parts = LOGITS[order].double().softmax(1).chunk(10)  # 21 a part, the last has 14
    scores = [inception_score(part, 1).mean for part in parts]
    assert [len(part) for part in parts] == [21] * 9 + [14]
    assert float(first[0]) == pytest.approx(np.mean(scores), rel=1e-5)
    assert float(first[1]) == pytest.approx(np.std(scores, ddof=1), rel=1e-4)
    assert inception_score(LOGITS[order].double().softmax(1)).std != pytest.approx(float(first[1]), rel=1e-2)


def test_torchmetrics_score_is_nan_where_a_class_underflows() -> None:
    from torchmetrics.image.inception import InceptionScore

    sharp = torch.where(torch.eye(20).repeat(10, 1).bool(), 200.0, 0.0)
    sharp[:, 0] = -200.0
    metric = InceptionScore(feature=Given(), splits=1)
    metric.update(sharp)
    assert torch.isnan(metric.compute()[0])
    assert inception_score(sharp.double().softmax(1), 1).mean == pytest.approx(19**0.95)


def test_torchmetrics_resize_is_another_one(monkeypatch: pytest.MonkeyPatch) -> None:
    """What its network is given, caught at the first layer, against our resize: other by default, ours without."""
    from torchmetrics.image.fid import NoTrainInceptionV3

    from improved_gan.metrics.inception import resize

    given: list[Tensor] = []

    class CaughtError(Exception):
        pass

    def catch(pixels: Tensor) -> Tensor:
        given.append(pixels * 128 + 128)
        raise CaughtError

    network = NoTrainInceptionV3.__new__(NoTrainInceptionV3)
    nn.Module.__init__(network)
    network.features_list = ["2048"]
    monkeypatch.setattr(network, "Conv2d_1a_3x3", catch, raising=False)
    image = torch.randint(0, 256, (1, 3, 500, 400), dtype=torch.uint8)
    for network.use_antialias in (True, False):
        with pytest.raises(CaughtError):
            network._torch_fidelity_forward(image)
    assert float((resize(image, (299, 299)) - given[0]).abs().mean()) > 10  # of 255, on noise
    assert float((resize(image, (299, 299)) - given[1]).abs().max()) < 1e-2
