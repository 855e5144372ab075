"""The network against a plain block built here from the published form, and against torch-fidelity where it is."""

import os
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from benchmarks.random_inception import random_weights
from improved_gan.data.images import decode_image
from improved_gan.metrics import MetricError, feature_frechet_distance, inception_score, kernel_inception_distance
from improved_gan.metrics.inception import Inception2015, prepare, resize
from improved_gan.metrics.inception_onnx import onnx_runtime, recorded
from improved_gan.metrics.network import inception_network
from tests.oracles.peers import cure_torchvision, fidelity_network, peers_missing


def oracle(image: np.ndarray, height: int, width: int) -> np.ndarray:
    """One pixel at a time, in float64."""
    out = np.zeros((height, width))
    for i in range(height):
        for j in range(width):
            y, x = i * image.shape[0] / height, j * image.shape[1] / width
            top, left = int(y), int(x)
            bottom, right = min(top + 1, image.shape[0] - 1), min(left + 1, image.shape[1] - 1)
            upper = image[top, left] + (image[top, right] - image[top, left]) * (x - left)
            lower = image[bottom, left] + (image[bottom, right] - image[bottom, left]) * (x - left)
            out[i, j] = upper + (lower - upper) * (y - top)
    return out


@pytest.mark.parametrize("shape", [(8, 8), (5, 13), (40, 31), (97, 12), (1, 1)])
def test_each_pixel(shape: tuple[int, int]) -> None:
    image = torch.randint(0, 256, shape, dtype=torch.uint8)
    np.testing.assert_allclose(resize(image, (29, 17)), oracle(image.numpy().astype(float), 29, 17), atol=1e-3)


def test_the_same_size_and_batches_are_left_alone() -> None:
    images = torch.randint(0, 256, (2, 3, 9, 7), dtype=torch.uint8)
    assert resize(images, (9, 7)).equal(images.float())
    assert resize(images, (20, 30))[1, 2].equal(resize(images[1, 2], (20, 30)))


@pytest.fixture(scope="module")
def weights() -> dict[str, Tensor]:
    return random_weights()


@pytest.fixture(scope="module")
def pictures() -> Tensor:
    """Four smooth random images of 40 x 60."""
    coarse = torch.rand(4, 3, 6, 6, generator=torch.Generator().manual_seed(3))
    return (F.interpolate(coarse, size=(40, 60), mode="bilinear") * 255).to(torch.uint8)


def plain_block_c(state: dict[str, Tensor], name: str, x: Tensor) -> Tensor:
    """One block as published: each branch by itself, batch normalization apart, the pool before its convolution."""

    def conv(branch: str, x: Tensor) -> Tensor:
        kernel = state[f"{name}.{branch}.conv.weight"]
        x = F.conv2d(x, kernel, padding=(kernel.shape[2] // 2, kernel.shape[3] // 2))
        norm = [state[f"{name}.{branch}.bn.{part}"] for part in ("running_mean", "running_var", "weight", "bias")]
        return F.relu(F.batch_norm(x, *norm, eps=1e-3))

    single, double = x, x
    for i in (1, 2, 3):
        single = conv(f"branch7x7_{i}", single)
    for i in (1, 2, 3, 4, 5):
        double = conv(f"branch7x7dbl_{i}", double)
    counts = F.avg_pool2d(torch.ones_like(x), 3, 1, 1)
    pooled = conv("branch_pool", F.avg_pool2d(x, 3, 1, 1) / counts)
    return torch.cat([conv("branch1x1", x), single, double, pooled], 1)


def test_a_block_is_the_published_one(weights: dict[str, Tensor]) -> None:
    x = torch.rand(2, 768, 17, 17, generator=torch.Generator().manual_seed(0))
    ours = Inception2015(weights).blocks[5](x.contiguous(memory_format=torch.channels_last))
    torch.testing.assert_close(ours, plain_block_c(weights, "Mixed_6c", x), rtol=1e-4, atol=1e-5)


def test_images_are_independent_of_their_batch_and_the_bias_is_left_out(
    weights: dict[str, Tensor], pictures: Tensor
) -> None:
    network = Inception2015(weights)
    features, logits = network(prepare(pictures))
    assert features.shape == (4, 2048)
    torch.testing.assert_close(logits, features @ weights["fc.weight"].T, rtol=1e-4, atol=1e-4)
    alone = network(prepare(pictures[2:3]))
    torch.testing.assert_close(alone.features[0], features[2], rtol=1e-4, atol=1e-5)


def test_onnx_runtime_computes_the_same(
    weights: dict[str, Tensor], pictures: Tensor, monkeypatch: pytest.MonkeyPatch
) -> None:
    onnx = pytest.importorskip("onnx")
    network, prepared = Inception2015(weights), prepare(pictures)
    onnx.checker.check_model(recorded(network), full_check=True)
    run = onnx_runtime(network)
    assert run is not None
    for some in (prepared, prepared[1:2], prepared[1:2].double().requires_grad_()):
        torch.testing.assert_close(run(some), network(some), rtol=1e-4, atol=1e-4)
    by_it = inception_network(weights, "0" * 64).run(prepared)
    assert all(one.equal(other) for one, other in zip(by_it, run(prepared), strict=True))
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    without = inception_network(weights, "0" * 64).run(prepared)
    assert all(one.equal(other) for one, other in zip(without, network(prepared), strict=True))


@pytest.mark.parametrize("fault", ["session", "import", "other numbers"])
def test_an_onnx_runtime_that_fails_is_not_used(
    fault: str, weights: dict[str, Tensor], monkeypatch: pytest.MonkeyPatch
) -> None:
    onnxruntime = pytest.importorskip("onnxruntime")

    def failing(*args: object, **options: object) -> None:
        raise TypeError("another version")

    def wrong(session: object, names: object, inputs: dict[str, np.ndarray]) -> list[np.ndarray]:
        return [np.ones((len(inputs["images"]), size), np.float32) for size in (2048, 1008)]

    if fault == "session":
        monkeypatch.setattr(onnxruntime, "InferenceSession", failing)
    elif fault == "import":
        monkeypatch.setattr("improved_gan.metrics.inception_onnx.optional_import", failing)
    else:
        monkeypatch.setattr(onnxruntime.InferenceSession, "run", wrong)
    assert onnx_runtime(Inception2015(weights)) is None


def test_bfloat16_is_near(weights: dict[str, Tensor], pictures: Tensor) -> None:
    one = prepare(pictures[:1])
    exact = Inception2015(weights)(one).features
    rounded = Inception2015(weights, dtype=torch.bfloat16)(one).features
    assert rounded.dtype == torch.float32
    assert 0 < float((rounded - exact).norm() / exact.norm()) < 0.03


def test_bad_input() -> None:
    with pytest.raises(MetricError, match=r"must be \(..., 3, H, W\) uint8; got \(3, 8, 8\) torch.float32"):
        prepare(torch.rand(3, 8, 8))
    with pytest.raises(MetricError, match=r"Conv2d_1a_3x3\.conv\.weight is missing"):
        Inception2015({})


@pytest.mark.skipif(peers_missing(), reason="torch-fidelity is not installed (docs/metrics/parity.md)")
def test_it_is_torch_fidelitys_network(weights: dict[str, Tensor], pictures: Tensor, tmp_path: Path) -> None:
    torch.save(weights, tmp_path / "weights.pth")
    theirs = fidelity_network(str(tmp_path / "weights.pth"))
    features, logits = theirs(pictures)
    ours = Inception2015(weights)(prepare(pictures))
    torch.testing.assert_close(ours.features, features, rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(ours.logits.softmax(1), logits.softmax(1), rtol=1e-2, atol=1e-4)


@pytest.mark.skipif(peers_missing(), reason="torch-fidelity is not installed (docs/metrics/parity.md)")
@pytest.mark.parametrize("shape", [(32, 32), (500, 375), (57, 299), (1200, 900)])
def test_the_input_is_torch_fidelitys_to_the_last_bit(shape: tuple[int, int]) -> None:
    from torch_fidelity.interpolate_compat_tensorflow import interpolate_bilinear_2d_like_tensorflow1x

    image = torch.randint(0, 256, (1, 3, *shape), dtype=torch.uint8)
    theirs = interpolate_bilinear_2d_like_tensorflow1x(image.float(), size=(299, 299), align_corners=False)
    assert prepare(image).equal((theirs - 128) / 128)


@pytest.mark.slow
@pytest.mark.skipif(peers_missing(), reason="torch-fidelity is not installed (docs/metrics/parity.md)")
@pytest.mark.skipif("IMPROVED_GAN_DATA" not in os.environ, reason="IMPROVED_GAN_DATA is not set")
def test_score_and_distances_of_real_photographs_are_torch_fidelitys(
    weights: dict[str, Tensor], tmp_path: Path
) -> None:
    cure_torchvision()
    from torch_fidelity.datasets import ImagesPathDataset
    from torch_fidelity.metric_fid import fid_features_to_statistics, fid_statistics_to_metric
    from torch_fidelity.metric_isc import isc_features_to_metric
    from torch_fidelity.metric_kid import kid_features_to_metric

    files = sorted((Path(os.environ["IMPROVED_GAN_DATA"]) / "photos").glob("*/*.JPEG"))[::13][:16]
    torch.save(weights, tmp_path / "weights.pth")
    network, theirs = Inception2015(weights), fidelity_network(str(tmp_path / "weights.pth"))
    photographs = [theirs(picture[None]) for picture in ImagesPathDataset(list(map(str, files)))]
    features, logits = (torch.cat(parts) for parts in zip(*photographs, strict=True))
    ours = network(torch.stack([prepare(decode_image(file.read_bytes(), file).pixels) for file in files]))
    score = inception_score(ours.logits.double().softmax(1), 2).mean
    assert score > 1.5
    assert score == pytest.approx(
        isc_features_to_metric(logits, splits=2, shuffle=False)["inception_score_mean"], rel=1e-4
    )
    halves = [fid_features_to_statistics(part.double()) for part in (features[:8], features[8:])]
    frechet = fid_statistics_to_metric(*halves, False)["frechet_inception_distance"]
    assert feature_frechet_distance(ours.features[:8], ours.features[8:]) == pytest.approx(frechet, rel=1e-4)
    options = {"kid_subsets": 3, "kid_subset_size": 6, "verbose": False}
    kernel = kid_features_to_metric(features[:8].double(), features[8:].double(), **options)
    found = kernel_inception_distance(ours.features[:8], ours.features[8:], subsets=3, subset_size=6).mean
    assert found == pytest.approx(kernel["kernel_inception_distance_mean"], rel=1e-4)
