from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from improved_gan.metrics import FeatureStatistics, MetricError
from improved_gan.metrics.array_files import (
    FeatureFile,
    ImageArray,
    is_array_file,
    open_array_file,
)
from improved_gan.metrics.evaluation import evaluate
from improved_gan.metrics.statistics_files import read_statistics, statistics_bytes
from tests.mutations import damaged_headers
from tests.oracles import metrics as oracle
from tests.pictures import quick_network

IMAGES = np.random.default_rng(0).integers(0, 256, (9, 4, 5, 3), dtype=np.uint8)
FEATURES = np.random.default_rng(1).normal(size=(50, 6)).astype(np.float32)


def images_of(path: Path) -> torch.Tensor:
    found = open_array_file(path)
    assert isinstance(found, ImageArray)
    return found.images


def features_of(path: Path) -> FeatureFile:
    found = open_array_file(path)
    assert isinstance(found, FeatureFile)
    return found


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_images_as_guided_diffusion_writes_them(save: Any, tmp_path: Path) -> None:
    save(tmp_path / "a.npz", IMAGES)
    expected = torch.from_numpy(IMAGES).permute(0, 3, 1, 2)
    assert images_of(tmp_path / "a.npz").equal(expected)
    save(tmp_path / "b.npz", np.arange(9), IMAGES)  # with labels, in another order
    with pytest.raises(MetricError, match="must hold images"):
        open_array_file(tmp_path / "b.npz")
    save(tmp_path / "c.npz", IMAGES, np.arange(9))
    assert images_of(tmp_path / "c.npz").equal(expected)
    save(tmp_path / "d.npz", samples=IMAGES)
    assert images_of(tmp_path / "d.npz").equal(expected)


@pytest.mark.parametrize("order", ["C", "F"])
def test_arrays_of_images_with_channels_last_first_and_none(order: Any, tmp_path: Path) -> None:
    expected = torch.from_numpy(IMAGES).permute(0, 3, 1, 2)
    np.save(tmp_path / "last.npy", np.array(IMAGES, order=order))
    np.save(tmp_path / "first.npy", np.array(expected.numpy(), order=order))
    np.save(tmp_path / "gray.npy", np.array(IMAGES[..., 0], order=order))
    assert images_of(tmp_path / "last.npy").equal(expected)
    assert images_of(tmp_path / "first.npy").equal(expected)
    assert images_of(tmp_path / "gray.npy").equal(expected[:, :1])


def test_a_file_is_mapped_and_not_read(tmp_path: Path) -> None:
    """A write to the file is seen through the tensor."""
    np.savez(tmp_path / "a.npz", IMAGES)
    images = images_of(tmp_path / "a.npz")
    content = bytearray((tmp_path / "a.npz").read_bytes())
    start = content.index(IMAGES.tobytes())
    with (tmp_path / "a.npz").open("r+b") as file:
        file.seek(start)
        file.write(b"\x07")
    assert images[0, 0, 0, 0] == 7


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_features_with_logits_and_their_network(save: Any, tmp_path: Path) -> None:
    save(tmp_path / "f.npz", features=FEATURES, logits=FEATURES[:, :3], network="net", sha256="ab")
    found = features_of(tmp_path / "f.npz")
    assert found.network == {"name": "net", "sha256": "ab"}
    assert found.num_images == 50
    batches = list(found.batches())
    assert torch.cat([one.features for one in batches]).equal(torch.from_numpy(FEATURES))
    assert torch.cat([one.logits for one in batches]).equal(torch.from_numpy(FEATURES[:, :3]))
    assert found.matrix().equal(torch.from_numpy(FEATURES))
    drawn = found.drawn(20)
    assert (drawn.num_images, len(drawn.features.unique(dim=0))) == (20, 20)
    assert drawn.logits is not None
    assert drawn.logits.equal(drawn.features[:, :3])


def test_a_drawn_part_of_float64_features_is_evaluated_as_it_is(tmp_path: Path) -> None:
    """Far from 0, where float32 would round them to few values."""
    rows = np.random.default_rng(2).normal(size=(60, 4)) + 1e8
    np.savez(tmp_path / "f.npz", features=rows, logits=rows)
    drawn = features_of(tmp_path / "f.npz").drawn(45)
    assert drawn.logits is not None
    chosen = rows[np.sort(np.random.RandomState(2020).permutation(60)[:45])]
    np.testing.assert_array_equal(drawn.features.numpy(), chosen)
    np.testing.assert_array_equal(drawn.logits.numpy(), chosen)
    found = evaluate(["precision-recall"], drawn, features_of(tmp_path / "f.npz"))[0]["precision-recall"]
    expected = oracle.precision_recall(chosen, rows, 3)
    assert (found["precision"], found["recall"]) == pytest.approx(expected)


def test_plain_features_have_no_logits_and_a_digest_of_their_content(tmp_path: Path) -> None:
    np.save(tmp_path / "f.npy", FEATURES)
    np.save(tmp_path / "g.npy", FEATURES + 1)
    np.savez(tmp_path / "h.npz", features=FEATURES)
    found = features_of(tmp_path / "f.npy")
    assert [one.logits.shape for one in found.batches()] == [(50, 0)]
    assert found.digest == features_of(tmp_path / "h.npz").digest != features_of(tmp_path / "g.npy").digest


def test_statistics_are_left_to_their_own_reader(tmp_path: Path) -> None:
    np.savez(tmp_path / "s.npz", mu=np.zeros(2), sigma=np.eye(2))
    assert open_array_file(tmp_path / "s.npz") is None


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_truncated_and_damaged_files_are_one_line(save: Any, tmp_path: Path) -> None:
    save(tmp_path / "a.npz", IMAGES)
    content = (tmp_path / "a.npz").read_bytes()
    for damaged in (content[: len(content) // 2], b"", content[:200] + b"\x55" * 20 + content[220:]):
        (tmp_path / "b.npz").write_bytes(damaged)
        with pytest.raises(MetricError, match=r"b\.npz cannot be read \(truncated or damaged\?\): .+"):
            open_array_file(tmp_path / "b.npz")
    np.save(tmp_path / "a.npy", IMAGES)
    (tmp_path / "b.npy").write_bytes((tmp_path / "a.npy").read_bytes()[:-1])
    with pytest.raises(MetricError, match=r"b\.npy cannot be read \(truncated or damaged\?\)"):
        open_array_file(tmp_path / "b.npy")


def test_pickled_objects_are_refused_and_not_run(tmp_path: Path) -> None:
    class Trap:
        def __reduce__(self) -> tuple[Any, ...]:
            return Path.touch, (tmp_path / "run",)

    np.save(tmp_path / "a.npy", np.array([Trap()], dtype=object), allow_pickle=True)
    np.savez(tmp_path / "a.npz", arr_0=np.array([Trap()], dtype=object))
    (tmp_path / "run").unlink(missing_ok=True)
    for name in ("a.npy", "a.npz"):
        with pytest.raises(MetricError, match="holds pickled objects, which may run code"):
            open_array_file(tmp_path / name)
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("array", "message"),
    [
        (IMAGES / 255, r"must hold images \(N, H, W, C\) uint8 or features"),
        (IMAGES[:0], r"a\.npy is empty: it holds \(0, 4, 5, 3\) uint8, no pixel of an image$"),
        (np.zeros((2, 4, 5, 4), np.uint8), "images have 1 or 3 channels"),
        (np.zeros((2, 3), np.int64), "must hold images"),
        ((IMAGES / 255).astype(np.float32), "float32: convert the pixels to uint8, 0 black and 255 white"),
        (IMAGES[0], r"one image \(H, W, C\) rather than images"),
        (
            np.where(np.arange(300).reshape(50, 6) % 77 == 5, np.nan, 1),
            r"4 of 50 rows .* \(row 0, row 13, row 26, row 39\)",
        ),
        (np.zeros((0, 6)), "one row an image"),
        (FEATURES.astype(">f4"), "native byte order"),
    ],
)
def test_arrays_that_are_nothing(array: np.ndarray, message: str, tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", array)
    with pytest.raises(MetricError, match=message):
        open_array_file(tmp_path / "a.npy")


def test_other_bad_files(tmp_path: Path) -> None:
    with pytest.raises(MetricError, match="there is no"):
        open_array_file(tmp_path / "none.npz")
    np.savez(tmp_path / "a.npz", one=IMAGES, two=IMAGES)
    with pytest.raises(MetricError, match="holds one, two: it needs `arr_0`"):
        open_array_file(tmp_path / "a.npz")
    np.savez(tmp_path / "b.npz", features=FEATURES, logits=FEATURES[:9])
    with pytest.raises(MetricError, match="50 rows of features and 9 of logits"):
        open_array_file(tmp_path / "b.npz")
    np.savez(tmp_path / "p.npz", features=FEATURES, logits=np.full((50, 4), 0.25))
    with pytest.raises(MetricError, match=r"rows of logits in .*p\.npz sum to 1: they are probabilities"):
        open_array_file(tmp_path / "p.npz")
    np.savez(tmp_path / "c.npz", features=FEATURES)
    with pytest.raises(MetricError, match="--num 51 is more than the 50 rows"):
        features_of(tmp_path / "c.npz").drawn(51)
    assert not is_array_file(Path("a.tar"))


def test_rows_are_named_as_their_images(tmp_path: Path) -> None:
    names = [f"{row % 3}/{row}.png" for row in range(50)]
    np.savez(tmp_path / "a.npz", features=FEATURES, names=names)
    found = features_of(tmp_path / "a.npz")
    assert list(found.names) == names
    drawn = found.drawn(7)
    rows = [names.index(name) for name in drawn.names]
    assert (drawn.features.numpy() == FEATURES[rows]).all()
    hashes = list(found.row_hashes())
    assert list(drawn.row_hashes()) == [hashes[row] for row in rows]
    assert len(set(hashes)) == 50
    bad = FEATURES.copy()
    bad[[4, 11], 2] = np.nan
    for arrays in ({"features": bad}, {"features": FEATURES, "logits": bad}):
        np.savez(tmp_path / "b.npz", names=names, **arrays)
        with pytest.raises(
            MetricError, match=r"2 of 50 rows .* NaN or infinity, or above 1e70 \(1/4\.png, 2/11\.png\)"
        ):
            open_array_file(tmp_path / "b.npz")
    np.savez(tmp_path / "c.npz", names=names[:9], features=FEATURES)
    with pytest.raises(MetricError, match=r"50 rows of features and names of shape \(9,\)"):
        open_array_file(tmp_path / "c.npz")


STATISTICS = FeatureStatistics.of(torch.rand(20, 4))


def test_there_and_back(tmp_path: Path) -> None:
    (tmp_path / "s.npz").write_bytes(statistics_bytes(STATISTICS, quick_network().as_dict()))
    found, warnings, network = read_statistics(tmp_path / "s.npz", quick_network().as_dict())
    assert (warnings, network) == ([], quick_network().as_dict())
    assert found.count == 20
    torch.testing.assert_close(found.covariance, STATISTICS.covariance)


def test_another_networks_are_refused_and_unnamed_ones_warned_of(tmp_path: Path) -> None:
    (tmp_path / "s.npz").write_bytes(statistics_bytes(STATISTICS, quick_network().as_dict()))
    with pytest.raises(MetricError, match=r"made with quick \(sha256 000000000000\), the images are scored with other"):
        read_statistics(tmp_path / "s.npz", quick_network("other").as_dict())
    np.savez(tmp_path / "plain.npz", mu=STATISTICS.mean, sigma=STATISTICS.covariance)
    found, warnings, _ = read_statistics(tmp_path / "plain.npz", quick_network().as_dict())
    assert any("names no network" in text for text in warnings)
    assert any("does not say how many images" in text for text in warnings)
    assert found.count is None
    torch.testing.assert_close(found.covariance, STATISTICS.covariance)


def test_another_resize_is_refused_and_another_precision_warned_of(tmp_path: Path) -> None:
    file = tmp_path / "s.npz"
    file.write_bytes(statistics_bytes(STATISTICS, replace(quick_network(), precision="bfloat16").as_dict()))
    _, warnings, _ = read_statistics(file, quick_network().as_dict())
    assert warnings == [f"{file} was made in bfloat16, the images are scored in float32"]
    file.write_bytes(statistics_bytes(STATISTICS, replace(quick_network(), resize="nearest").as_dict()))
    with pytest.raises(MetricError, match=r"another resize \(nearest; here: none\)"):
        read_statistics(file, quick_network().as_dict())
    named = {"name": "quick", "sha256": "0" * 64}  # another program's file need not say more
    file.write_bytes(statistics_bytes(STATISTICS, named))
    assert read_statistics(file, quick_network().as_dict())[1] == []
    file.write_bytes(statistics_bytes(STATISTICS, quick_network().as_dict()))
    assert read_statistics(file, named)[1] == []


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"mu": np.array(["a", "b"])}, "mu of .* must be real numbers; it has dtype <U1"),
        ({"mu": np.zeros(2, dtype=complex)}, "must be real numbers; it has dtype complex128"),
        ({"sigma": np.array([[True, False], [False, True]])}, "sigma of .* must be real numbers"),
        ({"count": np.array([5, 6])}, r"count of .* at least 2; got \[5 6\]"),
        ({"count": np.array("many")}, "count of .* at least 2; got many"),
        ({"count": np.array(1)}, "count of .* at least 2; got 1"),
        ({"count": np.array(2.5)}, "count of .* at least 2; got 2.5"),
        ({"sigma": np.eye(3)}, "must be .*got"),
        ({"sigma": -np.eye(2)}, r"s\.npz: a covariance has no negative eigenvalue"),
    ],
)
def test_content_that_is_no_statistics(tmp_path: Path, change: dict[str, Any], message: str) -> None:
    np.savez(tmp_path / "s.npz", **({"mu": np.zeros(2), "sigma": np.eye(2)} | change))
    with pytest.raises(MetricError, match=message):
        read_statistics(tmp_path / "s.npz", quick_network().as_dict())


def test_numbers_of_any_real_type(tmp_path: Path) -> None:
    np.savez(tmp_path / "s.npz", mu=np.zeros(2, dtype=">f4"), sigma=np.eye(2, dtype=np.int16), count=np.int32(9))
    found, _, _ = read_statistics(tmp_path / "s.npz", quick_network().as_dict())
    assert (found.count, found.mean.dtype, found.covariance.tolist()) == (9, torch.float64, [[1, 0], [0, 1]])


def test_damaged_files_are_told_in_one_line(tmp_path: Path) -> None:
    file = tmp_path / "s.npz"
    with file.open("wb") as opened:
        np.save(opened, np.zeros(3))
    with pytest.raises(MetricError, match=r"one array \(\.npy\)"):
        read_statistics(file, quick_network().as_dict())
    np.savez_compressed(file, mu=np.random.default_rng(0).random(500), sigma=np.eye(500))
    whole = file.read_bytes()
    for place in (60, 200, 1000, len(whole) // 2, len(whole) - 30):
        file.write_bytes(whole[:place] + bytes(8) + b"\xff" * 8 + whole[place + 16 :])
        with pytest.raises(MetricError) as caught:
            read_statistics(file, quick_network().as_dict())
        assert "\n" not in str(caught.value)


def test_bad_files(tmp_path: Path) -> None:
    file = tmp_path / "s.npz"
    with pytest.raises(MetricError, match="cannot be read"):
        read_statistics(file, quick_network().as_dict())
    file.write_bytes(b"no zip")
    with pytest.raises(MetricError, match="cannot be read"):
        read_statistics(file, quick_network().as_dict())
    np.savez(file, mean=np.zeros(3))
    with pytest.raises(MetricError, match=r"holds no .*mu"):
        read_statistics(file, quick_network().as_dict())
    np.savez(file, mu=np.full(3, np.nan), sigma=np.eye(3))
    with pytest.raises(MetricError, match="finite"):
        read_statistics(file, quick_network().as_dict())


def test_any_wrong_byte_is_one_line_or_the_same_statistics(tmp_path: Path) -> None:
    content, file, refused = statistics_bytes(STATISTICS, quick_network().as_dict()), tmp_path / "s.npz", 0
    for damaged in damaged_headers(content, 300, front=200):
        file.write_bytes(damaged)
        try:
            found, _, _ = read_statistics(file, quick_network().as_dict())
        except MetricError as error:
            refused += 1
            assert str(error).isprintable(), error  # noqa: PT017
        else:
            assert found.mean.equal(STATISTICS.mean)
            assert found.covariance.equal(STATISTICS.covariance)
    assert refused > 100


def test_arrays_of_objects_are_never_unpickled(tmp_path: Path) -> None:
    np.savez(tmp_path / "s.npz", mu=np.array([Path("x")], dtype=object), sigma=np.eye(1))
    with pytest.raises(MetricError, match="cannot be read as a statistics file: Object arrays cannot be loaded"):
        read_statistics(tmp_path / "s.npz", quick_network().as_dict())
