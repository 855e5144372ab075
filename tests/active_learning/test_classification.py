import pytest
import torch

from improved_gan.active_learning.classification import classify_batch, columns, decoder_of, identity
from improved_gan.data.value_range import ValueRange
from improved_gan.runs import Run
from improved_gan.training.errors import RunError


def test_the_identity_of_the_rows_holds_the_value_range(trained_run: object) -> None:
    trained = Run(trained_run).load(warn=pytest.fail)  # type: ignore[arg-type]
    plain = identity(trained, resize=True, invert=False, values=None)
    ranged = identity(trained, resize=True, invert=False, values=ValueRange(0, 4095))
    assert (plain["value_range"], ranged["value_range"]) == (None, [0, 4095])
    assert columns(trained)[:3] == ["file", "label", "p(0)"]
    with pytest.raises(RunError, match="with --resize"):
        decoder_of(trained, resize=False, invert=False, values=ValueRange(0, 4095))


def test_an_image_that_the_network_fails_on_is_named(trained_run: object, monkeypatch: pytest.MonkeyPatch) -> None:
    trained = Run(trained_run).load(warn=pytest.fail)  # type: ignore[arg-type]
    image = torch.zeros(trained.run.image_shape, dtype=torch.uint8)
    batch = [("a.png", "0", image), ("b.png", "1", image)]
    assert [row[0] for row in classify_batch(trained, batch)] == ["a.png", "b.png"]
    plain = trained.discriminator.forward

    def broken(images: torch.Tensor) -> object:
        found = plain(images)
        found.logits[1] = torch.nan
        return found

    monkeypatch.setattr(trained.discriminator, "forward", broken)
    with pytest.raises(RunError, match=r"the classifier gives NaN for b\.png: .* train it again"):
        classify_batch(trained, batch)
