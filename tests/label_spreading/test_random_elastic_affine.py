import numpy as np
import pytest
import torch
from scipy.ndimage import gaussian_filter
from scipy.spatial import procrustes

from improved_gan.label_spreading import RandomElasticAffine, estimate_pixel_layout, grid_positions

SIDE = 12
GRID = grid_positions(SIDE, SIDE)
STILL = {"rotation": 0.0, "scale": 0.0, "shear": 0.0, "translate": 0.0, "elastic_std": 0.0}


@pytest.fixture(scope="module")
def fields() -> torch.Tensor:
    """2,000 smooth random images, the correlation of whose pixels falls with their distance."""
    noise = np.random.default_rng(0).standard_normal((2000, SIDE + 8, SIDE + 8))
    smooth = gaussian_filter(noise, (0, 1.2, 1.2))[:, 4:-4, 4:-4]
    return torch.from_numpy(smooth).float()


def random(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def test_estimates_the_layout_of_permuted_pixels(fields: torch.Tensor) -> None:
    order = torch.randperm(SIDE**2, generator=random())
    found = estimate_pixel_layout(fields.flatten(1)[:, order])
    _, _, disparity = procrustes(GRID[order].numpy(), found.numpy())
    assert disparity < 1e-6  # of 1, after the best rotation, reflection and scale
    distances = torch.cdist(GRID[order], GRID[order])
    neighbors = torch.cdist(found, found)[distances == 1]
    torch.testing.assert_close(neighbors, torch.ones_like(neighbors), atol=1e-3, rtol=0)


@pytest.mark.parametrize("num_neighbors", [4, 6, 10, 20])
def test_neighbors_are_one_apart_for_any_num_neighbors(fields: torch.Tensor, num_neighbors: int) -> None:
    found = estimate_pixel_layout(fields, num_neighbors=num_neighbors)
    assert torch.cdist(found, found)[torch.cdist(GRID, GRID) == 1].median() == pytest.approx(1, abs=0.1)


def test_positions_depend_on_the_pixels_only(fields: torch.Tensor) -> None:
    order = torch.randperm(SIDE**2, generator=random(1))
    there = estimate_pixel_layout(fields)
    torch.testing.assert_close(estimate_pixel_layout(fields.flatten(1)[:, order]), there[order], atol=1e-3, rtol=0)
    torch.testing.assert_close(estimate_pixel_layout(0.1 * fields + 3), there, atol=1e-2, rtol=0)
    torch.testing.assert_close(estimate_pixel_layout(1e25 * fields.double()), there, atol=1e-3, rtol=0)
    torch.testing.assert_close(estimate_pixel_layout(fields.double() + 1e7), there, atol=1e-3, rtol=0)
    whole = (fields * 40 + 128).clamp(0, 255).round()
    torch.testing.assert_close(estimate_pixel_layout(whole.to(torch.uint8)), estimate_pixel_layout(whole))


def test_pixels_of_low_variance_have_no_position(fields: torch.Tensor) -> None:
    framed = torch.nn.functional.pad(fields, (2, 2, 2, 2), value=0.5)
    framed[0, 0, 0] = 0.6
    finite = estimate_pixel_layout(framed).isfinite().all(1).view(SIDE + 4, SIDE + 4)
    assert finite[2:-2, 2:-2].all()
    assert int(finite.sum()) == SIDE**2


def test_pixels_outside_the_largest_component_have_no_position(fields: torch.Tensor) -> None:
    few = torch.randn(2000, 1, generator=random()) + 0.01 * torch.randn(2000, 9, generator=random(1))
    found = estimate_pixel_layout(torch.cat([fields.flatten(1), few], 1))
    assert found[: SIDE**2].isfinite().all()
    assert found[SIDE**2 :].isnan().all()


@pytest.mark.parametrize(
    ("images", "words"),
    [
        (torch.zeros(5), "(N, A...)"),
        (torch.zeros(5, 30), "0 do"),
        (torch.full((5, 30), torch.nan), "finite"),
        (torch.zeros(5, 0), "got (5, 0)"),
        (torch.zeros(0, 20), "got (0, 20)"),
        (torch.rand(9, 3000, generator=random()), "3000 do"),
    ],
)
def test_refuses_images_without_a_layout(images: torch.Tensor, words: str) -> None:
    with pytest.raises(ValueError, match=words.replace("(", r"\(").replace(")", r"\)")):
        estimate_pixel_layout(images)


def test_refuses_a_graph_of_small_components() -> None:
    groups = torch.randn(500, 6, 1, generator=random()) + 0.01 * torch.randn(500, 6, 8, generator=random(1))
    with pytest.raises(ValueError, match="has 8 of 48"):
        estimate_pixel_layout(groups)


def test_refuses_numbers_out_of_range(fields: torch.Tensor) -> None:
    with pytest.raises(ValueError, match="num_neighbors"):
        estimate_pixel_layout(fields, num_neighbors=3)
    with pytest.raises(ValueError, match="least_variance"):
        estimate_pixel_layout(fields, least_variance=1.0)
    for wrong in (-1.0, float("nan"), float("inf")):
        with pytest.raises(ValueError, match="magnitudes finite"):
            RandomElasticAffine(GRID, elastic_std=wrong)
    with pytest.raises(ValueError, match="one unit apart"):
        RandomElasticAffine(1000 * GRID)
    with pytest.raises(ValueError, match=r"\(A, 2\)"):
        RandomElasticAffine(GRID[:, :1])
    with pytest.raises(ValueError, match="finite"):
        RandomElasticAffine(torch.full((9, 2), torch.nan))
    with pytest.raises(ValueError, match="144 pixels"):
        RandomElasticAffine(GRID)(torch.rand(1, 1, 8, 8))
    with pytest.raises(ValueError, match="uint8"):
        RandomElasticAffine(GRID)(torch.zeros(1, 1, SIDE, SIDE, dtype=torch.uint8))


def test_with_magnitudes_of_0_nothing_changes() -> None:
    images = torch.rand(5, 3, SIDE, SIDE, generator=random())
    torch.testing.assert_close(RandomElasticAffine(GRID, **STILL)(images), images, atol=1e-5, rtol=0)


def test_with_magnitudes_of_0_at_learned_positions_values_move_by_a_twelfth_of_a_pixel(fields: torch.Tensor) -> None:
    still = RandomElasticAffine(estimate_pixel_layout(fields), **STILL)
    slopes = still.points.T.contiguous()  # images whose value is the position
    inside = (still.points.abs() < SIDE / 2 - 2).all(1)
    moved = (still(slopes) - slopes)[:, inside].abs()
    assert 0 < float(moved.max()) < 0.1  # inside the four nearest pixels at most 1/12


def test_identity_in_evaluation_mode() -> None:
    images = torch.rand(5, 1, SIDE, SIDE)
    assert torch.equal(RandomElasticAffine(GRID).eval()(images), images)


def test_autocast_changes_nothing() -> None:
    deform, images = RandomElasticAffine(GRID), torch.rand(20, 1, SIDE, SIDE)
    expected = deform(images, random(1))
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert torch.equal(deform(images, random(1)), expected)


def test_shear_of_vertical_strokes() -> None:
    """The rows of a vertical stroke stay, and its ends move to the right and to the left."""
    stroke = torch.zeros(1, 1, SIDE, SIDE)
    stroke[..., 5] = 1
    sheared = RandomElasticAffine(GRID, **{**STILL, "shear": 0.5})(stroke, random(3))
    rows = (sheared[0, 0] * torch.arange(SIDE)).sum(1) / sheared[0, 0].sum(1)
    steps = rows[2:-2].diff()
    assert steps.abs().mean() > 0.05
    assert (steps.sign() == steps.sign()[0]).float().mean() > 0.8
    flat = RandomElasticAffine(GRID, **{**STILL, "shear": 0.5})(stroke.mT, random(3))
    torch.testing.assert_close(flat[..., 3:-3], stroke.mT[..., 3:-3], atol=0.1, rtol=0)


def moved(deform: RandomElasticAffine, number: int, seed: int) -> np.ndarray:
    """(number, A, 2) the source position of each pixel of each image, in float64, by the formula."""
    affine, elastic = (part.double().numpy() for part in deform._moves(number, random(seed)))
    points = deform.points.double().numpy()
    half = np.abs(points).max(0)
    centers = np.array([[x, y] for x in np.linspace(-half[0], half[0], 4) for y in np.linspace(-half[1], half[1], 4)])
    width = 0.6 * 2 * half.max() / 3
    bumps = np.exp(-((points[:, None] - centers) ** 2).sum(2) / (2 * width**2))
    linear = np.einsum("nij,aj->nai", affine[:, :, :2], points) + affine[:, None, :, 2]
    result: np.ndarray = points + linear + np.einsum("nim,am->nai", elastic, bumps)
    return result


def test_linear_images_are_interpolated_exactly() -> None:
    """A deformed linear image has the value of the linear function at the source position."""
    deform = RandomElasticAffine(GRID, elastic_std=0.3, translate=1.0)
    slope = torch.tensor([[0.3, -0.2], [0.1, 0.5]])
    images = (deform.points @ slope.T).T.reshape(2, 1, SIDE, SIDE)
    ours = deform(images, random(3)).double().flatten(1).numpy()
    there = moved(deform, 2, 3)
    inside = (np.abs(there) < SIDE / 2 - 1).all(2)
    expected = np.einsum("nai,ni->na", there, slope.double().numpy())
    assert inside.mean() > 0.5
    cell = 0.5 / 6 * np.abs(slope.numpy()).sum(1)  # the table has six cells a pixel
    assert (np.abs(ours - expected) <= cell[:, None] + 1e-4)[inside].all()


def test_affine_maps_have_the_magnitudes() -> None:
    deform = RandomElasticAffine(GRID, rotation=0.3, scale=0.0, shear=0.0, translate=0.0, elastic_std=0.0)
    affine, elastic = deform._moves(1000, random())
    rotated = affine[:, :, :2] + torch.eye(2)
    torch.testing.assert_close(torch.linalg.det(rotated), torch.ones(1000))
    torch.testing.assert_close(rotated @ rotated.mT, torch.eye(2).expand(1000, 2, 2), atol=1e-5, rtol=0)
    angles = torch.atan2(rotated[:, 1, 0], rotated[:, 0, 0])
    assert 0.29 < float(angles.abs().max()) <= 0.3
    assert not bool(affine[:, :, 2].any() or elastic.any())
    shifts = RandomElasticAffine(GRID, translate=2.0)._moves(1000, random())[0][:, :, 2]
    assert 1.9 < float(shifts.abs().max()) <= 2.0
    assert float(RandomElasticAffine(GRID, elastic_std=1.5)._moves(1000, random())[1].std()) == pytest.approx(
        1.5, rel=0.03
    )


def test_values_stay_in_their_range_and_pixels_without_a_position_are_unchanged() -> None:
    positions = GRID.clone()
    positions[7] = torch.nan
    images = torch.rand(50, SIDE**2, generator=random())
    deformed = RandomElasticAffine(positions, translate=20.0, elastic_std=5.0)(images)
    assert deformed.min() >= images.min()
    assert deformed.max() <= images.max()
    assert torch.equal(deformed[:, 7], images[:, 7])
    assert not torch.equal(deformed[:, 8], images[:, 8])


def test_each_image_has_its_own_deformation_for_all_channels() -> None:
    image = torch.rand(1, 1, SIDE, SIDE, generator=random())
    both = RandomElasticAffine(GRID)(image.expand(2, 3, SIDE, SIDE))
    assert torch.equal(both[:, 0], both[:, 2])
    assert not torch.allclose(both[0], both[1])


def test_a_given_generator_is_used_in_place_of_the_global_one() -> None:
    deform, images = RandomElasticAffine(GRID), torch.rand(4, 1, SIDE, SIDE)
    before = torch.get_rng_state()
    first, second = deform(images, random(1)), deform(images, random(1))
    assert torch.equal(first, second)
    assert torch.equal(torch.get_rng_state(), before)
    assert not torch.equal(deform(images), deform(images))


def test_no_images_and_no_state() -> None:
    deform = RandomElasticAffine(GRID)
    assert deform(torch.rand(0, 1, SIDE, SIDE)).shape == (0, 1, SIDE, SIDE)
    assert deform.state_dict() == {}


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_images_are_interpolated_in_float32(dtype: torch.dtype, fields: torch.Tensor) -> None:
    deform = RandomElasticAffine(GRID)
    images = fields[:20].flatten(1).to(dtype)
    expected = deform(images.double(), random())
    found = deform(images, random())
    assert found.dtype == dtype
    assert torch.equal(found, deform(images.float(), random()).to(dtype))  # one rounding, at the end
    torch.testing.assert_close(found.double(), expected, rtol=torch.finfo(dtype).eps, atol=1e-6)
