from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from improved_gan.metrics import FeatureStatistics, MetricError
from improved_gan.metrics.array_files import FeatureFile
from improved_gan.metrics.bootstrap import poisson_weights
from improved_gan.metrics.comparison import _NUMBERS, _READING, compare, comparison_figure
from improved_gan.metrics.evaluation import evaluate

NAMES = ("is", "fid", "kid", "cmmd", "precision-recall", "density-coverage", "vendi")
TITLES = ["Inception score", "FID", "KID", "CMMD", "precision", "recall", "density", "coverage", "Vendi score"]


def features(seed: int, shift: float = 0.0, num: int = 300) -> FeatureFile:
    source = torch.Generator().manual_seed(seed)
    rows = torch.randn(num, 4, generator=source) + shift
    return FeatureFile(Path("x"), rows, 2 * rows[:, :3], {}, tuple(f"row {row}" for row in range(len(rows))))


def compared(models: dict[str, FeatureFile], reference: Any, names: Any = NAMES, **options: Any) -> dict[str, Any]:
    metrics = [evaluate(names, one, reference)[0] for one in models.values()]
    return compare(models, metrics, reference, **options)


def test_every_number_has_values_and_the_bootstrapped_ones_intervals() -> None:
    found = compared({"a": features(0), "b": features(1, 1.0), "c": features(2)}, features(3), replicates=30)
    assert list(found["numbers"]) == TITLES
    for title, number in found["numbers"].items():
        pairs = [(one["first"], one["second"]) for one in number["differences"]]
        assert pairs == [(0, 1), (0, 2), (1, 2)]
        for value, interval in zip(number["values"], number["intervals"], strict=True):
            assert (interval is None) == (title == "Vendi score")
            assert interval is None or interval[0] < value < interval[1]
        for one in number["differences"]:
            assert one["value"] == number["values"][one["first"]] - number["values"][one["second"]]


def test_no_interval_leaves_the_range_of_its_number() -> None:
    """Nearly all samples are in the manifold, and one model is the reference itself."""
    found = compared({"a": features(3), "b": features(1, num=400)}, features(3), replicates=30)["numbers"]
    for title in ("precision", "recall", "coverage"):
        assert all(0 <= low <= high <= 1 for low, high in found[title]["intervals"]), title
    for title in ("FID", "CMMD", "density"):
        assert found[title]["intervals"][0][0] >= 0, title
    assert found["FID"]["intervals"][0][0] == 0  # by chance below it without the limit


def test_a_worse_model_is_told_from_an_equal_one() -> None:
    found = compared({"a": features(0), "worse": features(1, 1.0), "equal": features(2)}, features(3), replicates=60)
    for title in ("FID", "KID", "CMMD", "precision", "coverage"):
        to_worse, to_equal = (one["interval"] for one in found["numbers"][title]["differences"][:2])
        assert not to_worse[0] <= 0 <= to_worse[1]
        assert to_equal[0] <= 0.02
        assert to_equal[1] >= -0.02


def test_a_model_against_itself_differs_by_nothing() -> None:
    """The weights depend on the position only: what two models share cancels."""
    found = compared({"a": features(0), "b": features(0)}, features(3), replicates=10)
    for title in TITLES[:-1]:
        assert found["numbers"][title]["differences"][0]["interval"] == [0, 0]


@pytest.mark.parametrize(("name", "title"), [("fid", "FID"), ("kid", "KID")])
def test_intervals_have_the_width_of_fresh_draws(name: str, title: str) -> None:
    """Draws of new samples and new real images vary as the bootstrap says."""
    found = compared({"a": features(0, 0.3), "b": features(1)}, features(2), (name,), replicates=200)
    low, high = found["numbers"][title]["intervals"][0]
    draws = [
        next(iter(evaluate([name], features(10 + 2 * i, 0.3), features(11 + 2 * i))[0][name].values()))
        for i in range(60)
    ]
    assert (high - low) / 3.92 == pytest.approx(np.std(draws), rel=0.4)


@pytest.mark.parametrize(("first", "second", "real"), [(4, 6, 5), (6, 4, 4)])
def test_few_images_have_intervals_over_replicates_that_draw_two_of_them(first: int, second: int, real: int) -> None:
    models, reference = {"a": features(0, num=first), "b": features(1, num=second)}, features(3, num=real)
    names = ("fid", "kid", "cmmd", "precision-recall")
    found = compared(models, reference, names, replicates=100)["numbers"]
    for number in found.values():
        assert np.isfinite(number["intervals"]).all()
        assert np.isfinite([one["interval"] for one in number["differences"]]).all()
    every = [poisson_weights(torch.arange(num), 400, seed=seed).numpy() for num, seed in ((6, 0), (real, 1))]
    usable = [one[:, (one[:least] > 0).sum(0) >= 2].T[:100] for one, least in zip(every, (4, real), strict=True)]
    y = reference.features.double().numpy()
    draws = []
    for model, value in zip(models.values(), found["KID"]["values"], strict=True):
        x = model.features.double().numpy()
        xx, yy, xy = ((one @ other.T / 4 + 1) ** 3 for one, other in ((x, x), (y, y), (x, y)))
        replicates = []
        for drawn, w in zip(*usable, strict=True):
            v = drawn[: len(x)]
            vv, ww = np.outer(v, v) * (1 - np.eye(len(v))), np.outer(w, w) * (1 - np.eye(len(w)))
            between = np.average(xy, weights=np.outer(v, w))
            replicates.append(np.average(xx, weights=vv) + np.average(yy, weights=ww) - 2 * between)
        draws.append(np.array(replicates))
        expected = value + np.quantile(draws[-1] - draws[-1].mean(), [0.025, 0.975])
        assert found["KID"]["intervals"][len(draws) - 1] == pytest.approx(expected, rel=1e-9)
    difference, paired = found["KID"]["differences"][0], draws[0] - draws[1]
    expected = difference["value"] + np.quantile(paired - paired.mean(), [0.025, 0.975])
    assert difference["interval"] == pytest.approx(expected, rel=1e-9)


def test_statistics_of_the_reference_are_not_resampled() -> None:
    reference = FeatureStatistics.of(features(3).features)
    found = compared({"a": features(0), "b": features(1)}, reference, ("fid",), replicates=20)
    assert found["numbers"]["FID"]["intervals"][0] is not None
    whole = compared({"a": features(0), "b": features(1)}, features(3), ("fid",), replicates=20)
    width = [high - low for low, high in (one["numbers"]["FID"]["intervals"][0] for one in (found, whole))]
    assert width[0] < width[1]


def test_no_replicates_and_no_pair() -> None:
    found = compared({"a": features(0), "b": features(1)}, features(3), ("fid",), replicates=0)
    assert found["numbers"]["FID"]["intervals"] == [None, None]
    with pytest.raises(MetricError, match="at least two models, and the metrics of each; got 1 and 1"):
        compare({"a": features(0)}, [{}], None)
    with pytest.raises(MetricError, match="got 2 and 3"):
        compare({"a": features(0), "b": features(1)}, [{}, {}, {}], None)


def test_the_bootstrap_reports_its_work() -> None:
    parts: dict[str, list[float]] = {}
    compared(
        {"a": features(0), "b": features(1)}, features(3), replicates=4,
        advance=lambda name, part: parts.setdefault(name, []).append(part),
    )  # fmt: skip
    names = [f"{name}: bootstrap" for name in NAMES if name != "vendi"]
    assert {name: sum(some) for name, some in parts.items()} == pytest.approx(dict.fromkeys(names, 1.0))
    assert len(parts["fid: bootstrap"]) == 8  # each replicate of each model


def test_one_panel_a_number_with_dots_intervals_and_names() -> None:
    fid = {"values": [3.0, 5.0], "intervals": [[2.5, 3.5], [4.0, 6.0]], "differences": []}
    support = {"values": [None, 7.0], "intervals": [None, None], "differences": []}
    numbers = {"FID": fid, "KID": fid, "support size": support, "density": fid}
    figure = comparison_figure({"models": ["a", "b" * 40], "replicates": 100, "numbers": numbers})
    panels = [panel for panel in figure.axes if panel.get_visible()]
    assert [panel.get_title() for panel in panels] == [
        "FID (0 is best)", "KID (0 is best)", "support size (higher is better)", "density (1 as real images)"
    ]  # fmt: skip
    assert [len(panel.lines) for panel in panels] == [4, 4, 1, 4]
    assert list(panels[0].lines[0].get_xdata()) == [2.5, 3.5]
    assert [text.get_text() for text in panels[0].get_yticklabels()] == ["a", "..." + "b" * 21]


def test_every_number_of_a_comparison_says_what_is_best() -> None:
    assert set(_READING) == {title for titles in _NUMBERS.values() for title in titles.values()}
