import pytest
import torch
from scipy.interpolate import RegularGridInterpolator

from improved_gan.data import LabelSplit, load_digits
from improved_gan.models import PlacedDiscriminator
from improved_gan.models.placed import PixelLayout
from improved_gan.recipes.deforming import Deforming
from improved_gan.techniques import grid_positions


def images(number: int = 3, side: int = 28) -> torch.Tensor:
    return torch.rand(number, 1, side, side, generator=torch.Generator().manual_seed(0))


def shuffled(some: torch.Tensor, order: torch.Tensor) -> torch.Tensor:
    return some.flatten(2)[:, :, order].reshape(some.shape)


def test_pixels_in_a_grid_stay_where_they_are() -> None:
    layout = PixelLayout(9, 11)
    some = torch.rand(2, 3, 9, 11)
    assert torch.equal(layout(some), some)
    layout.place_(grid_positions(9, 11) + 40)
    torch.testing.assert_close(layout(some), some, atol=1e-5, rtol=0)


def test_pixels_in_another_order_come_back_to_their_places() -> None:
    order = torch.randperm(81, generator=torch.Generator().manual_seed(1))
    layout, some = PixelLayout(9, 9), images(side=9)
    layout.place_(grid_positions(9, 9)[order])
    torch.testing.assert_close(layout(shuffled(some, order)), some, atol=1e-5, rtol=0)


def test_values_between_pixels_are_those_of_scipy() -> None:
    layout, some = PixelLayout(8, 8), images(1, side=8)
    positions = grid_positions(8, 8)
    slope = (0.01 * positions[:, 0] + 0.03 * positions[:, 1]).reshape(1, 1, 8, 8)  # is kept between pixels
    layout.place_(1.25 * positions)  # wider than the grid: made smaller to fit, and so it is the grid again
    torch.testing.assert_close(layout(some), some, atol=1e-5, rtol=0)
    turned = torch.stack([positions[:, 0] + positions[:, 1], positions[:, 1] - positions[:, 0]], 1) / 2**0.5
    layout.place_(turned)
    step = (turned.amax(0) - turned.amin(0)).max() / 7  # of the grid, in units of the positions
    cells = (grid_positions(8, 8) - 3.5) * step
    back = torch.stack([cells[:, 0] - cells[:, 1], cells[:, 0] + cells[:, 1]], 1) / 2**0.5 + 3.5
    inside = ((back >= 0) & (back <= 7)).all(1)
    reader = RegularGridInterpolator((range(8), range(8)), slope[0, 0].numpy())
    expected = torch.from_numpy(reader(back[inside].numpy())).float()
    assert int(inside.sum()) > 20
    torch.testing.assert_close(layout(slope).flatten()[inside], expected, atol=1e-4, rtol=0)


def test_pixels_that_lie_nowhere_are_left_out() -> None:
    layout, positions = PixelLayout(9, 9), grid_positions(9, 9)
    positions[:9] = torch.nan
    layout.place_(positions)
    some = images(side=9)
    spoilt = some.clone()
    spoilt[:, :, 0] = 7
    assert torch.equal(layout(some), layout(spoilt))


def test_where_pixels_lie_is_saved_with_the_network() -> None:
    order = torch.randperm(784, generator=torch.Generator().manual_seed(2))
    first, second = (PlacedDiscriminator((1, 28, 28), 10).eval() for _ in range(2))
    first.place_(grid_positions(28, 28)[order])
    second.load_state_dict(first.state_dict())
    assert torch.equal(first(images()).logits, second(images()).logits)
    second.place_(grid_positions(28, 28))
    assert not torch.allclose(first(images()).logits, second(images()).logits)


def test_nothing_depends_on_the_order_of_the_pixels() -> None:
    """Of the images that positions are learnt from and of those that are judged, shuffled alike."""
    data = load_digits().train.images.float() / 255
    larger = torch.nn.functional.interpolate(data, (12, 12), mode="bilinear")
    order = torch.randperm(144, generator=torch.Generator().manual_seed(3))
    judgements = []
    for some in (larger, shuffled(larger, order)):
        positions = Deforming(learn_positions=True).positions(  # type: ignore[call-arg]
            type("Data", (), {"images": some})(), LabelSplit.none(len(some))
        )
        torch.manual_seed(0)
        discriminator = PlacedDiscriminator((1, 12, 12), 10).eval()
        discriminator.place_(positions)
        discriminator.start_(some[:100])
        judgements.append(discriminator(some[100:120]).logits.detach())
    torch.testing.assert_close(*judgements, atol=1e-3, rtol=0)
    assert judgements[0].std() > 0.01


def test_layers_and_the_start() -> None:
    torch.manual_seed(0)
    discriminator = PlacedDiscriminator((1, 28, 28), 10).train()
    discriminator.start_(images(200))
    discriminator.eval()
    convolved, features = discriminator.hidden_layers(images(200))
    assert (convolved.shape, features.shape) == ((200, 1600), (200, 128))
    judgement = discriminator(images(200))
    assert torch.equal(judgement.features, features)
    assert judgement.logits.std(0).mean().item() == pytest.approx(0.1, rel=0.2)


def test_clear_errors() -> None:
    with pytest.raises(ValueError, match=r"9 pixels a side or more .* got \(8, 28\)"):
        PlacedDiscriminator((1, 8, 28), 10)
    with pytest.raises(ValueError, match=r"positions must be \(81, 2\); got \(80, 2\)"):
        PixelLayout(9, 9).place_(torch.zeros(80, 2))
    with pytest.raises(ValueError, match="at least 4 positions must be finite; 0 are"):
        PixelLayout(9, 9).place_(torch.full((81, 2), torch.nan))
