import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from improved_gan.techniques import feature_matching_loss
from tests.oracles import losses

MEANS = ["paper", "released-mnist", "released-cifar10"]
VARIANTS = [*MEANS, "pairwise-l1"]


@pytest.mark.parametrize("variant", MEANS)
@given(seed=st.integers(0, 1000), n=st.integers(1, 6), m=st.integers(1, 6))
def test_agrees_with_numpy(variant: str, seed: int, n: int, m: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    real = torch.randn(n, 3, 2, generator=generator, dtype=torch.float64)
    generated = torch.randn(m, 3, 2, generator=generator, dtype=torch.float64)
    expected = losses.feature_matching(real, generated, variant)
    assert feature_matching_loss(real, generated, variant=variant).item() == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("variant", MEANS)
def test_it_compares_means_and_not_samples(variant: str) -> None:
    features = torch.randn(16, 4)
    shuffled = features[torch.randperm(16)]
    assert feature_matching_loss(features, shuffled, variant=variant).item() < 1e-6


@pytest.mark.parametrize("variant", VARIANTS)
def test_gradient_reaches_the_generator_only(variant: str) -> None:
    real = torch.randn(4, 3, dtype=torch.float64, requires_grad=True)
    generated = torch.randn(4, 3, dtype=torch.float64, requires_grad=True)
    feature_matching_loss(real, generated, variant=variant).backward()
    assert real.grad is None
    assert generated.grad is not None
    assert torch.autograd.gradcheck(lambda g: feature_matching_loss(real, g, variant=variant), generated)


def test_half_precision_sums_in_float32() -> None:
    real = torch.full((40, 1), 3000.0, dtype=torch.float16)  # the float16 sum 120,000 would overflow
    assert feature_matching_loss(real, real.clone()).item() == 0
    assert feature_matching_loss(real, real.clone()).dtype == torch.float32


def test_bad_input_is_refused_with_its_shape() -> None:
    with pytest.raises(ValueError, match=r"paper, released-mnist, released-cifar10, pairwise-l1; got 'l2'"):
        feature_matching_loss(torch.zeros(2, 3), torch.zeros(2, 3), variant="l2")
    with pytest.raises(ValueError, match=r"\(2, 3\) and \(2, 4\)"):
        feature_matching_loss(torch.zeros(2, 3), torch.zeros(2, 4))
    with pytest.raises(ValueError, match=r"one row of features an example; got \(2,\)"):
        feature_matching_loss(torch.zeros(2), torch.zeros(2))
    with pytest.raises(ValueError, match=r"empty batch.*\(0, 3\)"):
        feature_matching_loss(torch.zeros(2, 3), torch.zeros(0, 3))


def maps(n: int, seed: int) -> list[list[torch.Tensor]]:
    """Two discriminators with two layers and one; features of rank 1, 2 and 3."""
    draw = torch.Generator().manual_seed(seed)
    return [
        [torch.randn(n, *shape, generator=draw, dtype=torch.float64) for shape in layers]
        for layers in (((3, 4), (2, 3, 2)), ((5,),))
    ]


@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize(
    ("reduction", "weights"),
    [("mean", (1 / 3, 1 / 3, 1 / 3)), ("sum", (1, 1, 1)), ([[1, 2], [0.5]], (1, 2, 0.5)), ([4, 0, 1], (4, 0, 1))],
)
def test_nested_lists_agree_with_numpy(variant: str, reduction: object, weights: tuple[float, ...]) -> None:
    real, generated = maps(4, 0), maps(4, 1)
    pairs = [(r, g) for both in zip(real, generated, strict=True) for r, g in zip(*both, strict=True)]
    expected = sum(w * losses.feature_matching(r, g, variant) for w, (r, g) in zip(weights, pairs, strict=True))
    found = feature_matching_loss(real, generated, variant=variant, reduction=reduction)
    assert found.item() == pytest.approx(expected, rel=1e-12)
    as_tuples = tuple(map(tuple, real)), tuple(map(tuple, generated))
    assert feature_matching_loss(*as_tuples, variant=variant, reduction=reduction) == found


def test_pairs_are_compared_in_their_order() -> None:
    features = torch.randn(16, 4)
    assert feature_matching_loss(features, features.clone(), variant="pairwise-l1") == 0
    assert feature_matching_loss(features, features.flip(0), variant="pairwise-l1") > 0.5


def test_bad_lists_are_refused_with_their_place() -> None:
    one, empty = torch.zeros(2, 3), torch.zeros(0, 3)
    for real, generated, error, message in (
        ([], [], ValueError, "at least one feature map; got empty lists"),
        ([one], [one, one], ValueError, "same layers; got 1 and 2"),
        ([one, [one]], [one, one], ValueError, r"real_features\[1\] and .* got 1 and a tensor"),
        ([[one], [one]], [[one], [one[:, :2]]], ValueError, r"real_features\[1\]\[0\].*\(2, 3\) and \(2, 2\)"),
        ([one, empty], [one, empty], ValueError, r"empty batch.*features\[1\] of shape \(0, 3\)"),
        ([one, None], [one, None], TypeError, r"real_features\[1\] must be a tensor.*got NoneType"),
        ({"a": one}, {"a": one}, TypeError, "got dict"),
    ):
        with pytest.raises(error, match=message):
            feature_matching_loss(real, generated)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match=r"same N; got \(2, 3\) and \(1, 3\)\. For independent batches"):
        feature_matching_loss(one, one[:1], variant="pairwise-l1")
    with pytest.raises(ValueError, match="each of the 2 feature maps; got 1"):
        feature_matching_loss([one, one], [one, one], reduction=[1.0])
    with pytest.raises(ValueError, match="'mean', 'sum' or weights; got 'max'"):
        feature_matching_loss(one, one, reduction="max")
