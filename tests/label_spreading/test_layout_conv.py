from dataclasses import replace

import pytest
import torch
from scipy.interpolate import RegularGridInterpolator

from improved_gan.data import LabeledImages, LabelSplit, load_digits
from improved_gan.label_spreading import LayoutConvDiscriminator, apply_pixel_layout, grid_positions
from improved_gan.label_spreading.augmentation import Augmentation
from improved_gan.label_spreading.layout_conv import PixelLayout, TakesPixelLayout
from improved_gan.networks import DenseGenerator
from improved_gan.recipes.digits import digits
from improved_gan.runs.build import Experiment
from improved_gan.training.state import TrainingState


def images(number: int = 3, side: int = 28) -> torch.Tensor:
    return torch.rand(number, 1, side, side, generator=torch.Generator().manual_seed(0))


def shuffled(some: torch.Tensor, order: torch.Tensor) -> torch.Tensor:
    return some.flatten(2)[:, :, order].reshape(some.shape)


def test_pixels_in_a_grid_stay_where_they_are() -> None:
    layout = PixelLayout(9, 11)
    some = torch.rand(2, 3, 9, 11)
    assert torch.equal(layout(some), some)
    layout.set_pixel_layout_(grid_positions(9, 11) + 40)
    torch.testing.assert_close(layout(some), some, atol=1e-5, rtol=0)


def test_permuted_pixels_are_put_back_in_order() -> None:
    order = torch.randperm(81, generator=torch.Generator().manual_seed(1))
    layout, some = PixelLayout(9, 9), images(side=9)
    layout.set_pixel_layout_(grid_positions(9, 9)[order])
    torch.testing.assert_close(layout(shuffled(some, order)), some, atol=1e-5, rtol=0)


def test_a_wide_layout_is_made_smaller() -> None:
    layout, some = PixelLayout(8, 8), images(1, side=8)
    layout.set_pixel_layout_(1.25 * grid_positions(8, 8))
    torch.testing.assert_close(layout(some), some, atol=1e-5, rtol=0)


def test_values_between_pixels_are_those_of_scipy() -> None:
    """For a lattice rotated by 45 degrees and a linear function, which is reproduced between pixels."""
    layout, positions = PixelLayout(16, 16), grid_positions(16, 16)
    slope = (0.01 * positions[:, 0] + 0.03 * positions[:, 1]).reshape(1, 1, 16, 16)
    centered = positions - 7.5
    rotated = torch.stack([centered[:, 0] + centered[:, 1], centered[:, 1] - centered[:, 0]], 1) / 2**0.5
    rotated[centered.abs().amax(1) > 4] = torch.nan  # so that what is left fits
    layout.set_pixel_layout_(rotated)
    back = torch.stack([centered[:, 0] - centered[:, 1], centered[:, 0] + centered[:, 1]], 1) / 2**0.5 + 7.5
    inside = ((back >= 4) & (back <= 11)).all(1)
    reader = RegularGridInterpolator((range(16), range(16)), slope[0, 0].numpy())
    expected = torch.from_numpy(reader(back[inside].numpy())).float()
    assert int(inside.sum()) >= 40
    torch.testing.assert_close(layout(slope).flatten()[inside], expected, atol=1e-4, rtol=0)


def test_pixels_without_a_position_are_left_out() -> None:
    layout, positions = PixelLayout(9, 9), grid_positions(9, 9)
    positions[:9] = torch.nan
    layout.set_pixel_layout_(positions)
    some = images(side=9)
    changed = some.clone()
    changed[:, :, 0] = 7
    assert torch.equal(layout(some), layout(changed))


def test_the_pixel_layout_is_saved_with_the_network() -> None:
    order = torch.randperm(784, generator=torch.Generator().manual_seed(2))
    first, second = (LayoutConvDiscriminator((1, 28, 28), 10).eval() for _ in range(2))
    first.set_pixel_layout_(grid_positions(28, 28)[order])
    second.load_state_dict(first.state_dict())
    assert torch.equal(first(images()).logits, second(images()).logits)
    second.set_pixel_layout_(grid_positions(28, 28))
    assert not torch.allclose(first(images()).logits, second(images()).logits)


def test_nothing_depends_on_the_order_of_the_pixels() -> None:
    """The images from which positions are learned and those that are classified are permuted alike."""
    digits = load_digits().train.images.float() / 255
    larger = torch.nn.functional.interpolate(digits, (12, 12), mode="bilinear")
    order = torch.randperm(144, generator=torch.Generator().manual_seed(3))
    logits = []
    for some in (larger, shuffled(larger, order)):
        data = LabeledImages((255 * some).round().to(torch.uint8), torch.zeros(len(some)).long())
        positions = Augmentation(learn_positions=True).positions(data, LabelSplit.none(len(some)))
        torch.manual_seed(0)
        discriminator = LayoutConvDiscriminator((1, 12, 12), 10).eval()
        discriminator.set_pixel_layout_(positions)
        discriminator.init_from_data_(some[:100])
        logits.append(discriminator(some[100:120]).logits.detach())
    torch.testing.assert_close(*logits, atol=1e-3, rtol=0)
    assert logits[0].std() > 0.01


def test_hidden_layers_and_initialization_from_data() -> None:
    torch.manual_seed(0)
    discriminator = LayoutConvDiscriminator((1, 28, 28), 10).train()
    discriminator.init_from_data_(images(200))
    discriminator.eval()
    convolved, features = discriminator.hidden_layers(images(200))
    assert (convolved.shape, features.shape) == ((200, 1600), (200, 128))
    output = discriminator(images(200))
    assert torch.equal(output.features, features)
    assert output.logits.std(0).mean().item() == pytest.approx(0.1, rel=0.2)


def test_clear_errors() -> None:
    with pytest.raises(ValueError, match=r"9 pixels a side or more .* got \(8, 28\)"):
        LayoutConvDiscriminator((1, 8, 28), 10)
    with pytest.raises(ValueError, match=r"positions must be \(81, 2\); got \(80, 2\)"):
        PixelLayout(9, 9).set_pixel_layout_(torch.zeros(80, 2))
    with pytest.raises(ValueError, match="at least 4 positions must be finite; 0 are"):
        PixelLayout(9, 9).set_pixel_layout_(torch.full((81, 2), torch.nan))


@pytest.mark.parametrize("shape", [(32, 9), (9, 32), (24, 12)])
def test_portrait_and_landscape_images_keep_all_their_pixels(shape: tuple[int, int]) -> None:
    layout, positions = PixelLayout(*shape), grid_positions(*shape)
    some = torch.rand(2, 1, *shape, generator=torch.Generator().manual_seed(0))
    for axes in (positions, positions.flip(1)):  # a layout may have its long side along either axis
        layout.set_pixel_layout_(axes)
        torch.testing.assert_close(layout(some), some, atol=1e-4, rtol=0)


def test_one_outlying_pixel_does_not_move_the_others() -> None:
    layout, positions, some = PixelLayout(32, 32), grid_positions(32, 32), images(side=32)
    positions[5, 0] = -1
    layout.set_pixel_layout_(positions)
    difference = (layout(some) - some).abs().amax(0).flatten()
    assert int((difference > 1e-4).sum()) <= 1


def test_ties_do_not_depend_on_the_order_of_the_pixels() -> None:
    """A hole in the lattice has four pixels at the same distance, and further ones beyond the rim."""
    positions = grid_positions(12, 12)
    positions[[40, 100, 0, 1, 12]] = torch.nan
    some = images(side=12)
    layout = PixelLayout(12, 12)
    layout.set_pixel_layout_(positions)
    expected = layout(some)
    for seed in range(5):
        order = torch.randperm(144, generator=torch.Generator().manual_seed(seed))
        layout.set_pixel_layout_(positions[order])
        torch.testing.assert_close(layout(shuffled(some, order)), expected, atol=1e-6, rtol=0)


def test_a_run_learns_the_pixel_layout_and_sets_it_in_its_discriminator() -> None:
    """The same network for images with permuted pixels; a resumed run keeps the layout."""
    data = load_digits()
    order = torch.randperm(144, generator=torch.Generator().manual_seed(4))

    def larger(some: LabeledImages, order: torch.Tensor) -> LabeledImages:
        images = torch.nn.functional.interpolate(some.images.float(), (12, 12), mode="bilinear")
        return LabeledImages(shuffled(images, order).round().to(torch.uint8), some.labels)

    def start(order: torch.Tensor) -> tuple[Experiment, TrainingState]:
        parts = {name: larger(getattr(data, name), order) for name in ("train", "test")}
        recipe = replace(
            digits(50),
            load_data=lambda _: replace(data, **parts),
            generator=lambda: DenseGenerator((1, 12, 12), latent_size=5, hidden=(8, 8)),
            discriminator=lambda: LayoutConvDiscriminator((1, 12, 12), 10, widths=(4, 4, 4), num_features=8),
            augmentation=Augmentation(learn_positions=True),
            image_shape=None,
        )
        experiment = Experiment.prepare(recipe, seed=1, split_seed=1, data_folder=None, device="cpu")
        return experiment, experiment.start()

    (one, state), (other, second) = start(torch.arange(144)), start(order)
    logits = [
        beginning.discriminator.eval()(run.data.test.images.float() / 255).logits.detach()
        for run, beginning in ((one, state), (other, second))
    ]
    torch.testing.assert_close(*logits, atol=1e-3, rtol=0)
    initial = LayoutConvDiscriminator((1, 12, 12), 10, widths=(4, 4, 4), num_features=8)
    assert not torch.equal(state.discriminator.layout.near, initial.layout.near)
    saved = {name: value.clone() for name, value in second.tensors().items()}
    assert any("layout.near" in name for name in saved)
    state.load(saved)
    assert torch.equal(state.discriminator.layout.near, second.discriminator.layout.near)


def test_apply_pixel_layout_is_the_layout_and_keeps_the_dtype() -> None:
    order = torch.randperm(63, generator=torch.Generator().manual_seed(0))
    images = torch.randint(0, 256, (5, 2, 9, 7), dtype=torch.uint8, generator=torch.Generator().manual_seed(1))
    shuffled = images.flatten(2)[:, :, order].reshape(images.shape)
    ordered = apply_pixel_layout(shuffled, grid_positions(9, 7)[order])
    assert torch.equal(ordered, images)
    assert apply_pixel_layout(shuffled.double(), grid_positions(9, 7)[order]).dtype == torch.float64
    with pytest.raises(ValueError, match=r"\(N, C, H, W\)"):
        apply_pixel_layout(shuffled[0], grid_positions(9, 7))


def test_a_dense_discriminator_needs_no_layout() -> None:
    """Its augmented views follow the learned layout all the same."""
    recipe = replace(digits(50), augmentation=Augmentation(learn_positions=True))
    experiment = Experiment.prepare(recipe, seed=1, split_seed=1, data_folder=None, device="cpu")
    assert not isinstance(experiment.start().discriminator, TakesPixelLayout)
    assert experiment.positions is not None
