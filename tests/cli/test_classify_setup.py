import pytest

from improved_gan.cli.classify_setup import columns, decoder_of, identity
from improved_gan.data.value_range import ValueRange
from improved_gan.recipes.load_run import load_trained
from improved_gan.training.errors import RunError


def test_the_identity_of_the_rows_holds_the_value_range(trained_run: object) -> None:
    trained = load_trained(trained_run, warn=pytest.fail)  # type: ignore[arg-type]
    plain = identity(trained, resize=True, invert=False, values=None)
    ranged = identity(trained, resize=True, invert=False, values=ValueRange(0, 4095))
    assert (plain["value_range"], ranged["value_range"]) == (None, [0, 4095])
    assert columns(trained)[:3] == ["file", "label", "p(0)"]
    with pytest.raises(RunError, match="with --resize"):
        decoder_of(trained, resize=False, invert=False, values=ValueRange(0, 4095))
