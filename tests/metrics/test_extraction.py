from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch
from torch import Tensor

from improved_gan.metrics import MetricError
from improved_gan.metrics.extraction import FeatureSet, extract
from improved_gan.metrics.feature_cache import FeatureCache
from improved_gan.metrics.inception import Outputs
from improved_gan.metrics.network import ScoringNetwork
from tests.pictures import color_logits, quick_network
from tests.ranks import TwoRanks


def images(num: int) -> Iterator[tuple[str, Callable[[], bytes]]]:
    for index in range(num):
        yield f"{index}.raw", lambda index=index: bytes((index * k) % 251 for k in range(48))  # type: ignore[misc]


def decode(content: bytes) -> tuple[Tensor, tuple[str, ...]]:
    if content[1] % 50 == 13:
        raise ValueError("cannot be read: made bad")
    return torch.frombuffer(bytearray(content), dtype=torch.uint8).view(3, 4, 4), ("reshaped",)


def go(num: int, folder: Path, network: ScoringNetwork | None = None, **options: object) -> FeatureSet | None:
    return extract(
        images(num), decode=decode, network=network or quick_network(), cache=FeatureCache(folder), **options
    )  # type: ignore[arg-type]


def rows(features: FeatureSet | None) -> Tensor:
    assert features is not None
    return torch.cat([chunk.features for chunk in features])


def test_every_good_image_in_order(tmp_path: Path) -> None:
    features = go(100, tmp_path)
    good = [index for index in range(100) if index not in (13, 63)]
    expected = torch.stack([decode(read())[0] for index, (_, read) in enumerate(images(100)) if index in good])
    torch.testing.assert_close(rows(features), color_logits(expected)[0])
    assert features is not None
    first, second, *_ = features
    assert first.bad == {13: "cannot be read: made bad"}
    assert second.bad == {31: "cannot be read: made bad"}
    assert first.conversions == {"reshaped": 31}
    assert len(features.keys) == 4


def test_what_is_known_is_not_done_again_and_a_stop_loses_nothing(tmp_path: Path) -> None:
    seen: list[tuple[int, bool]] = []
    assert go(100, tmp_path, advance=lambda *a: seen.append(a), interrupted=lambda: len(seen) == 2) is None
    assert seen == [(32, False), (32, False)]
    features = go(100, tmp_path, advance=lambda *a: seen.append(a))
    assert seen[2:] == [(32, True), (32, True), (32, False), (4, False)]
    whole = go(100, tmp_path / "other")
    assert features is not None
    assert whole is not None
    assert features.digest == whole.digest
    assert rows(features).equal(rows(whole))
    grown = go(130, tmp_path, advance=lambda *a: seen.append(a))
    assert [known for _, known in seen[6:]] == [True, True, True, False, False]
    assert grown is not None
    assert grown.digest != features.digest


def test_another_network_shares_nothing(tmp_path: Path) -> None:
    one, other = go(10, tmp_path), go(10, tmp_path, quick_network("other"))
    assert one is not None
    assert other is not None
    assert one.digest != other.digest


def test_nan_is_told_with_the_image(tmp_path: Path) -> None:
    def run(batch: Tensor) -> Outputs:
        features, logits = color_logits(batch)
        return Outputs(torch.where(torch.arange(len(batch))[:, None] == 3, torch.nan, features), logits)

    broken = ScoringNetwork("broken", "0", 3, None, "none", "float32", lambda image: image, run)
    with pytest.raises(MetricError, match=r"broken gives NaN or infinity for 3\.raw: check its weights"):
        go(10, tmp_path, broken)
    silent = ScoringNetwork(
        "silent", "0", 3, None, "none", "float32", lambda image: image, lambda batch: run(batch * torch.nan)
    )
    with pytest.raises(MetricError, match=r"for 0\.raw, 1\.raw, 2\.raw, 3\.raw, 4\.raw \.\.\.: check"):
        go(10, tmp_path, silent)


def test_images_of_several_sizes_need_a_network_that_takes_them(tmp_path: Path) -> None:
    sizes = iter([(3, 4, 4), (3, 2, 8)])
    with pytest.raises(MetricError, match="one size; got 4 x 4, 8 x 2"):
        extract(
            images(2),
            decode=lambda content: (decode(content)[0].reshape(next(sizes)), ()),
            network=quick_network(),
            cache=FeatureCache(tmp_path),
        )


def test_one_size_is_asked_of_the_whole_set_and_of_kept_chunks_too(tmp_path: Path) -> None:
    def other_shape_later(content: bytes) -> tuple[Tensor, tuple[str, ...]]:
        pixels = decode(content)[0]
        return (pixels.reshape(3, 2, 8) if content[1] >= 32 else pixels), ()

    for _ in range(2):  # the second time chunks are known
        with pytest.raises(MetricError, match="one size; got 4 x 4, 8 x 2"):
            extract(images(64), decode=other_shape_later, network=quick_network(), cache=FeatureCache(tmp_path))


@pytest.mark.parametrize("part", [0, 1])
def test_rows_of_another_length_for_other_images_are_refused(tmp_path: Path, part: int) -> None:
    """Of features and of logits, also where the chunks are known, the first of which has no image."""
    batches = iter(range(3))

    def run(batch: Tensor) -> Outputs:
        outputs = list(color_logits(batch))
        outputs[part] = outputs[part][:, : 2 + next(batches) // 2]
        return Outputs(*outputs)

    def decode_later(content: bytes) -> tuple[Tensor, tuple[str, ...]]:
        if content[1] < 32:
            raise ValueError("no image")
        return decode(content)[0], ()

    network = ScoringNetwork("uneven", "0", 3, None, "none", "float32", lambda image: image, run)
    for _ in range(2):
        with pytest.raises(MetricError, match=r"uneven gives other numbers of features and classes for other images"):
            extract(images(128), decode=decode_later, network=network, cache=FeatureCache(tmp_path))


def _on_a_rank(folder: Path) -> tuple[tuple[str, ...], Tensor]:
    features = go(100, folder)
    assert features is not None
    return features.keys, rows(features)


def test_two_ranks_get_the_same_bits_as_one(two_ranks: TwoRanks, tmp_path: Path) -> None:
    alone = go(100, tmp_path / "alone")
    assert alone is not None
    for keys, features in two_ranks(_on_a_rank, tmp_path / "together"):
        assert keys == alone.keys
        assert features.equal(rows(alone))
