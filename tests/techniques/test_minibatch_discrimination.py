import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from improved_gan.techniques import MinibatchDiscrimination, minibatch_similarity, real_and_generated_similarity
from tests.oracles import minibatch

VARIANTS = ["paper", "released"]


@given(seed=st.integers(0, 1000), n=st.integers(1, 9), include_self=st.booleans(), shift=st.floats(-5, 5))
def test_laws(seed: int, n: int, include_self: bool, shift: float) -> None:
    x = torch.randn(n, 3, 4, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    similarity = minibatch_similarity(x, include_self=include_self)
    np.testing.assert_allclose(similarity, minibatch.similarity(x, include_self=include_self), rtol=1e-10, atol=1e-12)
    order = torch.randperm(n)
    torch.testing.assert_close(minibatch_similarity(x[order], include_self=include_self), similarity[order])
    torch.testing.assert_close(minibatch_similarity(x + shift, include_self=include_self), similarity)
    assert (similarity >= include_self).all()
    assert (similarity <= n - (not include_self) + 1e-12).all()


def test_float32_agrees_at_the_sizes_of_the_released_networks() -> None:
    x = torch.randn(100, 20, 5)
    np.testing.assert_allclose(minibatch_similarity(x), minibatch.similarity(x), rtol=1e-5)
    np.testing.assert_allclose(
        minibatch_similarity(x, include_self=False), minibatch.similarity(x, include_self=False), rtol=1e-5
    )


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
@pytest.mark.parametrize("scale", [1e-3, 1.0, 1e4])
def test_half_precision_stays_finite(dtype: torch.dtype, scale: float) -> None:
    x = (scale * torch.randn(64, 3, 5)).to(dtype).requires_grad_()
    similarity = minibatch_similarity(x, include_self=False)  # the released 1e6 on the diagonal would overflow float16
    (gradient,) = torch.autograd.grad(similarity.float().sum(), x)
    assert similarity.dtype == gradient.dtype == dtype
    assert similarity.isfinite().all()
    assert gradient.isfinite().all()


@pytest.mark.parametrize("variant", VARIANTS)
def test_autocast_does_not_round_the_rows_before_their_distances(variant: str) -> None:
    layer = MinibatchDiscrimination(32, 8, 5, variant=variant)
    features = (10 + 0.1 * torch.randn(16, 32)).bfloat16()  # rows much closer to each other than to 0
    with torch.autocast("cpu", dtype=torch.bfloat16):
        projections = layer.project(features)
        found = minibatch_similarity(projections)
    weight = layer.weight.detach().double()
    if variant == "released":
        weight = weight / weight.norm(dim=0)
    exact = torch.einsum("na,abc->nbc", features.double(), weight)
    np.testing.assert_allclose(found.detach(), minibatch.similarity(exact), rtol=1e-3)
    assert projections.dtype == torch.float32


def test_two_sided_means() -> None:
    real, generated = torch.randn(4, 3, 2, dtype=torch.float64), torch.randn(5, 3, 2, dtype=torch.float64)
    of_real, of_generated = real_and_generated_similarity(real, generated)
    own, other = minibatch.similarity(real, include_self=False) / 3, minibatch.similarity(real, generated) / 5
    np.testing.assert_allclose(of_real, np.concatenate([own, other], 1))
    other, own = minibatch.similarity(generated, real) / 4, minibatch.similarity(generated, include_self=False) / 4
    np.testing.assert_allclose(of_generated, np.concatenate([other, own], 1))
    # A batch as both halves: an example is left out of its own half, and its copy in the other half counts.
    assert all(map(torch.equal, *(real_and_generated_similarity(real, one) for one in (real, real.clone()))))
    layer = MinibatchDiscrimination(6, 3, 2).double()
    features = torch.randn(4, 6, dtype=torch.float64), torch.randn(5, 6, dtype=torch.float64)
    expected = real_and_generated_similarity(*(layer.project(f) for f in features))
    for ours, f, e in zip(layer.forward_real_and_generated(*features), features, expected, strict=True):
        torch.testing.assert_close(ours, torch.cat([f, e], 1))


def test_released_layer_and_its_initialization_agree_with_the_formula() -> None:
    layer, features = MinibatchDiscrimination(6, 4, 3, variant="released").double(), torch.randn(20, 6).double()
    assert layer.bias.eq(-1).all()
    layer.init_from_batch_(features)
    with torch.no_grad():
        layer.weight *= 7  # the length of V does not matter
    projections = minibatch.released_projection(features, layer.weight.detach(), layer.log_weight_scale.detach())
    distance = np.abs(projections[:, None] - projections[None]).sum(-1) + np.where(np.eye(20), np.inf, 0)[..., None]
    np.testing.assert_allclose(0.5 * distance.min(1).mean(0), 1)
    output = layer(features).detach().numpy()
    np.testing.assert_allclose(output[:, 6:].mean(0), 0, atol=1e-12)
    expected = minibatch.similarity(projections, include_self=False) + layer.bias.detach().numpy()
    np.testing.assert_allclose(output, np.concatenate([features, expected], 1))


@pytest.mark.parametrize("variant", VARIANTS)
def test_groups_are_not_compared(variant: str) -> None:
    layer, features = MinibatchDiscrimination(6, 4, 3, variant=variant).double(), torch.randn(9, 6).double()
    parts = features.split([4, 5])
    torch.testing.assert_close(layer(features, groups=[4, 5]), torch.cat([layer(part) for part in parts]))


def test_one_example_has_no_others() -> None:
    features = torch.randn(1, 6)
    assert MinibatchDiscrimination(6)(features)[:, 6:].eq(1).all()
    assert MinibatchDiscrimination(6, variant="released")(features)[:, 6:].eq(-1).all()


def test_the_paper_variant_has_no_initialization() -> None:
    layer = MinibatchDiscrimination(6)
    before = layer.weight.detach().clone()
    layer.init_from_batch_(torch.randn(8, 6))
    assert torch.equal(layer.weight, before)


def test_initial_standard_deviation() -> None:
    assert MinibatchDiscrimination(400).weight.std().item() == pytest.approx(0.05, rel=0.02)
    assert MinibatchDiscrimination(50, init_std=0.3).weight.std().item() == pytest.approx(0.3, rel=0.05)


def test_bad_use() -> None:
    x = torch.randn(3, 2, 4)
    with pytest.raises(ValueError, match=r"\(N, B, C\).*got \(3, 2\)"):
        minibatch_similarity(x[..., 0])
    with pytest.raises(ValueError, match=r"got \(0, 2, 4\)"):
        minibatch_similarity(x[:0])
    with pytest.raises(ValueError, match=r"\(3, 2, 4\) and \(3, 1, 4\)"):
        minibatch_similarity(x, x[:, :1])
    with pytest.raises(ValueError, match="no self"):
        minibatch_similarity(x, x, include_self=False)
    with pytest.raises(ValueError, match="got 3 real, 1 generated"):
        real_and_generated_similarity(x, x[:1])
    with pytest.raises(ValueError, match="'paper' or 'released'; got 'theano'"):
        MinibatchDiscrimination(4, variant="theano")
    with pytest.raises(ValueError, match="num_kernels=0"):
        MinibatchDiscrimination(4, 0)
    with pytest.raises(ValueError, match="init_std must be positive"):
        MinibatchDiscrimination(4, init_std=0.0)
    layer = MinibatchDiscrimination(4, variant="released")
    with pytest.raises(ValueError, match=r"\(N, 4\).*got \(3, 5\)"):
        layer(torch.zeros(3, 5))
    with pytest.raises(ValueError, match=r"at least 2 examples is needed; got features \(1, 4\)"):
        layer.init_from_batch_(torch.zeros(1, 4))
    with pytest.raises(ValueError, match="do not differ"):
        layer.init_from_batch_(torch.zeros(3, 4))


def test_over_pairs_is_the_released_division() -> None:
    """The authors divide by the number of pairs with one example in a half: B (2B - 1) for halves of B."""
    real, generated = torch.randn(2, 4, 3, 2, dtype=torch.float64)
    everything = torch.cat([real, generated])
    similarity = torch.exp(-(everything[:, None] - everything[None]).abs().sum(-1))
    similarity *= 1 - torch.eye(8, dtype=torch.float64)[:, :, None]
    expected = torch.cat([similarity[:, :4].sum(1), similarity[:, 4:].sum(1)], dim=1) / (4 * (2 * 4 - 1))
    found = torch.cat(real_and_generated_similarity(real, generated, over_pairs=True))
    torch.testing.assert_close(found, expected)
