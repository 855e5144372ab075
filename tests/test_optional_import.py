from pathlib import Path

import pytest

from improved_gan.optional_import import optional_import


def test_a_folder_of_that_name_is_not_the_library(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "certainly_a_library" / "inside").mkdir(parents=True)
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(ModuleNotFoundError, match="is a folder, not the library certainly_a_library"):
        optional_import("certainly_a_library")
    with pytest.raises(ModuleNotFoundError, match="No module named 'no_such_library'"):
        optional_import("no_such_library")
    assert optional_import("decimal").Decimal(1) == 1
