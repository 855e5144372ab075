import io
from collections.abc import Callable
from dataclasses import replace
from itertools import accumulate, cycle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from improved_gan.data.image_sources import open_images
from improved_gan.data.images import decode_image
from improved_gan.metrics import MetricError
from improved_gan.metrics.evaluation_images import (
    EvaluationImages,
    array_content,
    array_decoder,
    array_images,
    check_precision,
    network_outputs,
    score_change,
)
from improved_gan.metrics.extraction import extract
from improved_gan.metrics.feature_cache import FeatureCache
from improved_gan.metrics.features import FeatureTable
from improved_gan.metrics.inception import Outputs
from improved_gan.metrics.network import ScoringNetwork
from tests.oracles import metrics as oracle
from tests.pictures import folder_of, quick_network


def of_folder(folder: Path, network: ScoringNetwork) -> EvaluationImages:
    source = open_images(folder)
    decode = lambda content: decode_image(content, "", channels=network.channels)  # noqa: E731
    return EvaluationImages(str(folder), source.names, source.stream, decode, files=True)


def test_a_part_of_the_pictures(tmp_path: Path) -> None:
    folder = folder_of(tmp_path / "a", 6)
    part = of_folder(folder, quick_network()).only({4, 1})
    assert [name for name, _ in part] == list(part.names) == ["001.png", "004.png"]
    assert [name for name, _ in part] == ["001.png", "004.png"]  # again


def sorted_images(num: int) -> EvaluationImages:
    """Image i has the value i in its first pixel, and the class i * 10 // num."""
    pixels = torch.arange(num, dtype=torch.uint8).view(num, 1, 1, 1).expand(num, 3, 2, 2).contiguous()
    return array_images(Path("a.npy"), pixels, quick_network())


def class_network(num: int, wrong: Callable[[torch.Tensor], torch.Tensor], precision: str) -> ScoringNetwork:
    """Certain of each image's class, but for a probability `wrong(i)` that is spread over the nine other classes."""

    def run(images: torch.Tensor) -> Outputs:
        index = images[:, 0, 0, 0].long()
        p = (wrong(index.double()) / 9)[:, None].expand(-1, 10).clone()
        p[torch.arange(len(index)), index * 10 // num] = 1 - wrong(index.double())
        return Outputs(p.float(), p.log())

    return replace(quick_network(), precision=precision, run=run)


def nats(wrong: float) -> float:
    """The entropy of p(y|x), by which log 10, the logarithm of the score of certain answers, decreases."""
    return float(-(1 - wrong) * np.log(1 - wrong) - wrong * np.log(wrong / 9))


NUM, EXACT = 250, 0.01


@pytest.mark.parametrize(
    ("rounded", "taken"),
    [
        (lambda i: 0.0105 + 0 * i, "bfloat16"),  # changes the score by 0.3% for certain
        (lambda i: 0.0125 + 0 * i, "float32"),  # by 1.5%
        (lambda i: 0.0105 + 0.0005 * (-1) ** i, "bfloat16"),  # by 0.3% on average, with small differences
        (lambda i: torch.where(i < 200, EXACT, 0.03), "float32"),  # only in the last classes of images in order
    ],
)
def test_bfloat16_is_taken_only_where_the_score_stays_for_certain(rounded: Any, taken: str) -> None:
    networks = class_network(NUM, rounded, "bfloat16"), class_network(NUM, lambda i: EXACT + 0 * i, "float32")
    chosen, warnings = check_precision(networks[0], lambda: networks[1], sorted_images(NUM))
    assert chosen.precision == taken
    assert len(warnings) == (taken == "float32")
    expected = nats(EXACT) - np.mean([nats(float(rounded(torch.tensor(float(i))))) for i in range(NUM)])
    for text in warnings:
        assert float(text.split("%")[0].split()[-1]) == pytest.approx(100 * expected, abs=0.06)


def test_a_mean_that_is_right_by_chance_is_no_reason_for_bfloat16() -> None:
    """Half of the images certain, half less so, such that the mean does not move: other images would move it."""
    higher = next(x for x in np.arange(0.1, 0.9, 1e-4) if nats(x) >= 2 * nats(0.1))
    rounded = class_network(NUM, lambda i: torch.where(i % 2 == 0, higher, 1e-12), "bfloat16")
    exact = class_network(NUM, lambda i: 0.1 + 0 * i, "float32")
    network, warnings = check_precision(rounded, lambda: exact, sorted_images(NUM))
    assert network is exact
    change, error = (float(word.rstrip("%")) / 100 for word in warnings[0].split()[5:12:6])
    assert abs(change) < 2e-3
    assert error == pytest.approx(nats(higher) / 2 / (NUM - 1) ** 0.5, rel=0.05)


def test_the_change_of_the_score_is_a_jackknife() -> None:
    logits = torch.randn(2, 12, 5, generator=torch.Generator().manual_seed(3))
    logs = []
    for one in logits.double().softmax(2).numpy():
        rows = [np.delete(one, i, 0) for i in range(12)]
        logs.append(np.log([oracle.inception_score(some, 1)[0] for some in (one, *rows)]))
    values = 12 * (logs[0][0] - logs[1][0]) - 11 * (logs[0][1:] - logs[1][1:])
    assert score_change(*logits) == pytest.approx((values.mean(), values.std(ddof=1) / 12**0.5), rel=1e-9)


def test_too_few_images_decide_nothing_and_bad_ones_do_not_count(tmp_path: Path) -> None:
    folder = folder_of(tmp_path / "a", 33)
    rounded = replace(quick_network(), precision="bfloat16")
    assert check_precision(rounded, quick_network, of_folder(folder, rounded)) == (rounded, [])
    for name in ("000.png", "001.png"):
        (folder / name).write_bytes(b"bad")
    network, warnings = check_precision(rounded, quick_network, of_folder(folder, rounded))
    assert network.precision == "float32"
    assert warnings == ["31 images cannot show what bfloat16 changes: float32 is used instead"]


def test_rows_of_an_array_are_images_one_by_one() -> None:
    images = torch.randint(0, 256, (5, 3, 4, 6), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    found = array_images(Path("a.npy"), images.permute(0, 2, 3, 1).contiguous().permute(0, 3, 1, 2), quick_network())
    assert [name for name, _ in found] == [f"row {i}" for i in range(5)]
    for (_, read), image in zip(found, images, strict=True):
        assert found.decode(read())[0].equal(image)
    contents = [read() for _, read in found]
    drawn = found.drawn(3)
    assert [contents[found.names.index(name)] for name in drawn.names] == [read() for _, read in drawn]
    assert len(set(drawn.names)) == 3
    with pytest.raises(MetricError, match=r"--num 6 is more than the 5 images in a\.npy"):
        found.drawn(6)


def test_an_array_gets_the_size_and_channels_that_the_network_takes() -> None:
    gray = np.random.default_rng(0).integers(0, 256, (4, 6), dtype=np.uint8)
    image, done = array_decoder((1, 4, 6), replace(quick_network(), size=(8, 10)))(gray.tobytes())
    expected = np.array(Image.fromarray(gray).resize((10, 8), Image.Resampling.BICUBIC))
    assert done == ("scaled to 10 x 8 (bicubic)",)
    assert image.shape == (3, 8, 10)
    assert (image.numpy() == expected).all()
    color = np.random.default_rng(0).integers(0, 256, (4, 6, 3), dtype=np.uint8)
    for size in (None, (8, 10)):
        network = replace(quick_network(), channels=1, size=size)
        file = io.BytesIO()
        Image.fromarray(color).save(file, "png")
        expected, named = decode_image(file.getvalue(), "", channels=1, size=size)
        content = array_content(torch.from_numpy(color).permute(2, 0, 1))
        image, done = array_decoder((3, 4, 6), network)(content)
        assert image.equal(expected)
        assert done == named


def test_the_same_bytes_in_another_shape_are_another_image(tmp_path: Path) -> None:
    """A wrong layout that was repaired must not find the features of the wrong one in the cache."""
    pixels = torch.randint(0, 256, (3, 3, 4, 6), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    network, cache, found = replace(quick_network(), run=_first_column), FeatureCache(tmp_path), []
    for images in (pixels, pixels.reshape(3, 3, 6, 4)):
        source = array_images(Path("a.npy"), images, network)
        features = extract(source, decode=source.decode, network=network, cache=cache)
        assert features is not None
        found.append(FeatureTable(features).matrix)
        assert found[-1].equal(_first_column(images).features)
    assert not found[0].equal(found[1])


@pytest.mark.parametrize(("channels", "size"), [(3, None), (1, None), (3, (8, 10))])
def test_images_in_a_tensor_get_the_outputs_of_an_array_file(channels: int, size: Any, tmp_path: Path) -> None:
    images = torch.randint(0, 256, (40, 3, 4, 6), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    network = replace(quick_network(), run=_first_column, channels=channels, size=size)
    source = array_images(Path("a.npy"), images, network)
    expected = extract(source, decode=source.decode, network=network, cache=FeatureCache(tmp_path))
    assert expected is not None
    assert network_outputs(images, network).features.equal(FeatureTable(expected).matrix)


@pytest.mark.parametrize("wrong", ["floats", "last", "one", "none"])
def test_tensors_that_are_no_images(wrong: str) -> None:
    images = torch.zeros(5, 3, 8, 8, dtype=torch.uint8)
    made = {"floats": images.float(), "last": images.permute(0, 2, 3, 1), "one": images[0], "none": images[:0]}
    with pytest.raises(MetricError, match=r"images must be \(N, C, H, W\) uint8, C 1 or 3; got .*take \(127\.5 \* x"):
        network_outputs(made[wrong], quick_network())


def test_a_network_that_fails_on_a_tensor_is_told() -> None:
    network = replace(quick_network(), run=lambda images: Outputs(*[torch.full((len(images), 2), torch.nan)] * 2))
    with pytest.raises(MetricError, match="quick gives NaN or infinity"):
        network_outputs(torch.zeros(5, 3, 8, 8, dtype=torch.uint8), network)


def _first_column(images: torch.Tensor) -> Outputs:
    sums = images[..., 0].float().sum(2)
    return Outputs(sums, sums)


def test_bfloat16_that_takes_longer_is_noted_by_an_injected_clock() -> None:
    """The first batch, where bfloat16 takes 50 seconds more, warms up; the last has fewer images and another shape."""
    now, taken = [0.0], []

    def network(precision: str, seconds: float) -> ScoringNetwork:
        exact = class_network(NUM, lambda i: EXACT + 0 * i, precision)

        def run(images: torch.Tensor) -> Outputs:
            taken.append(precision)
            now[0] += seconds if len(taken) > 1 and len(images) == 32 else 50 * seconds
            return exact.run(images)

        return replace(exact, run=run)

    for seconds, expected in ((3.4, ["1.7 times"]), (2.05, []), (1.0, [])):
        taken.clear()
        notes: list[str] = []
        rounded, exact = network("bfloat16", seconds), network("float32", 2.0)
        chosen, warnings = check_precision(
            rounded, lambda exact=exact: exact, sorted_images(NUM), note=notes.append, clock=lambda: now[0]
        )
        assert (chosen, warnings) == (rounded, [])
        assert len(notes) == len(expected)
        for note, ratio in zip(notes, expected, strict=True):
            assert f"bfloat16 takes {ratio} as long as float32 on this processor (over 192 images)" in note
            assert "--precision float32" in note


@pytest.mark.parametrize(("num", "expected"), [(63, 0), (64, 1)])
def test_few_images_say_nothing_of_the_speed(num: int, expected: int) -> None:
    """bfloat16, which comes first, takes 2 seconds a batch, float32 1: told of the second whole batch only."""
    now, notes = accumulate(cycle([0, 2, 0, 1])), []
    rounded = class_network(NUM, lambda i: EXACT + 0 * i, "bfloat16")
    check_precision(rounded, lambda: rounded, sorted_images(num), note=notes.append, clock=lambda: next(now))
    assert len(notes) == expected
