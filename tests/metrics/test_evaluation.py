import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from improved_gan.metrics import (
    FeatureStatistics,
    MetricError,
    cmmd,
    density_coverage,
    extrapolated_frechet_distance,
    feature_frechet_distance,
    inception_score,
    kernel_inception_distance,
    precision_recall,
    vendi_score,
)
from improved_gan.metrics.evaluation import METRICS, Given, choose_metrics, evaluate, left_out
from improved_gan.metrics.extraction import FeatureSet
from improved_gan.metrics.feature_cache import ChunkFeatures, FeatureCache

FEATURES = torch.randn(70, 5, generator=torch.Generator().manual_seed(0))
LOGITS = 3 * torch.randn(70, 4, generator=torch.Generator().manual_seed(1))
REAL = torch.randn(90, 5, generator=torch.Generator().manual_seed(2)) + 0.3


def stored(folder: Path, features: torch.Tensor, logits: torch.Tensor) -> FeatureSet:
    cache, keys = FeatureCache(folder), []
    for index, start in enumerate(range(0, len(features), 32)):
        part = features[start : start + 32]
        keys.append(f"{len(features):032x}{index:032x}")
        cache.save(keys[-1], ChunkFeatures(part, logits[start : start + 32], tuple(range(len(part)))))
    keys.append("ff" * 32)  # a chunk without a good picture
    cache.save(keys[-1], ChunkFeatures(torch.zeros(0, 0), torch.zeros(0, 0), (), {0: "bad"}))
    return FeatureSet(cache, tuple(keys))


def test_every_number_is_that_of_the_plain_functions(tmp_path: Path) -> None:
    generated = stored(tmp_path, FEATURES, LOGITS)
    real = stored(tmp_path, REAL, 20 * torch.eye(4)[torch.arange(90) % 4])
    done: dict[str, float] = {}

    def advance(name: str, fraction: float) -> None:
        done[name] = done.get(name, 0) + fraction

    found, warnings = evaluate(list(METRICS), generated, real, splits=7, advance=advance)
    assert list(found) == list(METRICS)
    measured = ("is", "fid-infinity", "kid", "cmmd", "precision-recall", "density-coverage", "nearest")
    assert [done[name] for name in measured] == [pytest.approx(1, abs=0.01)] * 7
    order = np.random.RandomState(2020).permutation(70)  # torch-fidelity's shuffle
    score = inception_score(LOGITS[order].double().softmax(1), 7)
    assert (found["is"]["mean"], found["is"]["std"]) == (
        pytest.approx(score.mean),
        pytest.approx(score.std),
    )
    assert found["fid"]["value"] == pytest.approx(feature_frechet_distance(FEATURES, REAL), rel=1e-9)
    assert found["kid"]["mean"] == pytest.approx(kernel_inception_distance(FEATURES, REAL, subset_size=70).mean)
    assert found["precision-recall"]["recall"] == precision_recall(FEATURES, REAL).recall
    assert found["cmmd"]["value"] == pytest.approx(cmmd(FEATURES, REAL))
    assert (found["density-coverage"]["density"], found["density-coverage"]["coverage"]) == density_coverage(
        FEATURES, REAL
    )
    assert found["vendi"]["value"] == pytest.approx(vendi_score(FEATURES))
    assert found["vendi"]["reference"] == pytest.approx(vendi_score(REAL))
    line = extrapolated_frechet_distance(FEATURES, FeatureStatistics.of(REAL))
    assert found["fid-infinity"]["value"] == pytest.approx(line.value, rel=1e-9)
    assert 0 < found["nearest"]["near_copy"] < 1
    assert found["birthday"]["distinct"] <= 70
    assert any("only 70 images" in text for text in warnings)
    assert not any("real images" in text for text in warnings)


def test_every_metric_reports_its_work(tmp_path: Path) -> None:
    parts: dict[str, list[float]] = {}
    advance = lambda name, part: parts.setdefault(name, []).append(part)  # noqa: E731
    twice = torch.cat([REAL, REAL[:3]])  # copies take another way through `nearest` and `birthday`
    for name, real in (("a", REAL), ("b", twice)):
        parts.clear()
        samples, reference = (stored(tmp_path / name, *rows) for rows in ((FEATURES, LOGITS), (real, real)))
        evaluate(tuple(METRICS), samples, reference, splits=5, advance=advance)
        assert {name: sum(some) for name, some in parts.items()} == pytest.approx(dict.fromkeys(METRICS, 1.0), abs=1e-3)


def test_an_error_says_which_metric(tmp_path: Path) -> None:
    few = stored(tmp_path, FEATURES[:4], LOGITS[:4])
    with pytest.raises(MetricError, match="density-coverage: 5 nearest neighbors need at least 5 other images; got 3"):
        evaluate(("vendi", "density-coverage"), few, few)


@pytest.mark.parametrize("name", [name for name in METRICS if name != "is"])
def test_sides_of_two_networks_are_refused_by_every_metric(name: str, tmp_path: Path) -> None:
    samples, real = stored(tmp_path / "a", FEATURES[:, :4], LOGITS), stored(tmp_path / "b", REAL, REAL)
    with pytest.raises(MetricError, match="samples have 4 features an image and the reference 5"):
        evaluate((name,), samples, real)
    if METRICS[name].needs == "reference":
        with pytest.raises(MetricError, match="samples have 4 features an image and the reference 5"):
            evaluate((name,), samples, FeatureStatistics.of(REAL))


def test_the_order_by_name_is_the_other_choice(tmp_path: Path) -> None:
    found, _ = evaluate(["is"], stored(tmp_path, FEATURES, LOGITS), None, shuffle=False)
    assert found["is"]["mean"] == pytest.approx(inception_score(LOGITS.double().softmax(1)).mean, rel=1e-12)
    assert found["is"]["order"] == "by name"


def test_real_images_that_the_network_does_not_know_are_told(tmp_path: Path) -> None:
    unsure = stored(tmp_path, REAL, torch.zeros(90, 4))
    _, warnings = evaluate(["fid"], stored(tmp_path, FEATURES, LOGITS), unsure)
    assert any("low confidence on the real images, too (mean largest probability 0.25)" in text for text in warnings)


@pytest.mark.parametrize("classes", [2, 3])
def test_few_classes_can_be_unknown_too(tmp_path: Path, classes: int) -> None:
    for scale, told in ((0.1, True), (50.0, False)):
        logits = scale * torch.randn(90, classes, generator=torch.Generator().manual_seed(0))
        _, warnings = evaluate(["is"], stored(tmp_path, REAL, logits), stored(tmp_path, REAL, logits))
        assert any("low confidence on the real images" in text for text in warnings) == told
        assert any("low confidence on these images" in text for text in warnings) == told


def test_the_birthday_threshold_is_drawn_from_all_real_images(tmp_path: Path) -> None:
    """The first real images are one class, close together: they must not stand for all."""
    source = torch.Generator().manual_seed(0)
    close = 0.001 * torch.randn(70, 5, generator=source)
    real = torch.cat([close, 100 * torch.randn(7000, 5, generator=source)])
    reference = stored(tmp_path, real, 50 * torch.eye(4)[torch.arange(len(real)) % 4])
    found, warnings = evaluate(["birthday"], stored(tmp_path, FEATURES, LOGITS), reference)
    assert found["birthday"]["threshold"] > 0.1
    assert not any("birthday" in text for text in warnings)
    twice = stored(tmp_path, REAL[:30].repeat(2, 1), torch.eye(4)[torch.arange(60) % 4])
    found, warnings = evaluate(["birthday"], stored(tmp_path, FEATURES, LOGITS), twice)
    assert found["birthday"]["threshold"] > 0.01
    assert any("60 real images for 70 samples" in text for text in warnings)


def test_statistics_of_the_reference_are_enough_for_the_distances(tmp_path: Path) -> None:
    generated = stored(tmp_path, FEATURES, LOGITS)
    found, _ = evaluate(["fid", "fid-infinity"], generated, FeatureStatistics.of(REAL))
    assert found["fid"]["reference_images"] == 90
    assert found["fid-infinity"]["value"] < found["fid"]["value"]


def test_a_line_that_starts_below_the_number_of_features_is_told(tmp_path: Path) -> None:
    wide = torch.randn(8, 5, generator=torch.Generator().manual_seed(3))
    _, warnings = evaluate(["fid-infinity"], stored(tmp_path, wide, LOGITS[:8]), FeatureStatistics.of(REAL))
    assert any("starts at 4 images, fewer than the 5 features" in text for text in warnings)


NOTHING, STATISTICS, IMAGES = Given(), Given(reference=True), Given(reference=True, images=True)


@pytest.mark.parametrize(
    ("names", "given", "chosen"),
    [
        (None, NOTHING, ("is",)),
        (None, STATISTICS, ("is", "fid")),
        (None, IMAGES, ("is", "fid", "kid")),
        (None, Given(logits=False), ("vendi",)),
        (None, replace(IMAGES, logits=False), ("fid", "kid")),
        (None, replace(IMAGES, sources=False), ("fid",)),
        ("all", IMAGES, tuple(METRICS)),
        ("all", replace(IMAGES, logits=False), tuple(METRICS)[1:]),
        ("all", replace(STATISTICS, logits=False), ("fid", "fid-infinity", "vendi", "birthday")),
        ("all", NOTHING, ("is", "vendi", "birthday")),
        ("all", replace(STATISTICS, sources=False), ("fid",)),
        ("vendi,is", NOTHING, ("vendi", "is")),
        ("vendi, is,vendi", NOTHING, ("vendi", "is")),
    ],
)
def test_the_metrics_are_those_that_the_input_allows(names: str | None, given: Given, chosen: tuple[str, ...]) -> None:
    assert choose_metrics(names, given) == chosen
    lines = left_out(names, given)
    told = {name for line in lines for name in re.split(r" needs? | compares? ", line.split(": ")[1])[0].split(", ")}
    assert told == (set(METRICS) - set(chosen) if names == "all" else set())


@pytest.mark.parametrize(
    ("names", "given", "message"),
    [
        ("all", Given(sources=False), "no metric can be computed of statistics"),
        (None, Given(sources=False), "fid compares with real images: name them with --reference"),
        ("is", Given(logits=False), "is needs logits, and there are features only"),
        ("kid", STATISTICS, "kid needs the reference's images, statistics are not enough"),
        ("speed", NOTHING, "there is no metric 'speed'"),
        ("vendi", Given(sources=False), "vendi needs images or features"),
    ],
)
def test_what_the_input_does_not_allow_is_one_line(names: str | None, given: Given, message: str) -> None:
    with pytest.raises(MetricError, match=message):
        choose_metrics(names, given)


def test_nothing_good_is_told(tmp_path: Path) -> None:
    empty = stored(tmp_path, FEATURES[:0], LOGITS[:0])
    for names in (["is"], ["fid"], ["birthday"]):
        with pytest.raises(MetricError, match="no image could be decoded"):
            evaluate(names, empty, FeatureStatistics.of(REAL))
    with pytest.raises(MetricError, match="needs the images of a reference"):
        evaluate(["kid"], stored(tmp_path, FEATURES, LOGITS), FeatureStatistics.of(REAL))
