"""The tables of measured errors in the pages are those of the records, and the records agree with each other."""

import importlib.util
import json
import re
from pathlib import Path

import numpy as np
import pytest

from improved_gan.recipes import RECIPES

ROOT = Path(__file__).parent.parent
SPEC = importlib.util.spec_from_file_location("result_tables", ROOT / "docs" / "_ext" / "result_tables.py")
assert SPEC is not None
assert SPEC.loader is not None
TABLES = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(TABLES)
PACKAGED = ROOT / "src" / "improved_gan" / "reproduction" / "records"
MNIST = TABLES.mnist_records()


@pytest.mark.parametrize("page", TABLES.PAGES, ids=lambda page: page.name)
def test_tables_of_the_page_are_those_of_the_records(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    assert "<!-- begin " in text
    assert text == TABLES.filled(text, TABLES.tables()), "run python docs/_ext/result_tables.py"


def test_every_table_is_shown() -> None:
    shown = re.findall(r"<!-- begin ([\w-]+) -->", "".join(page.read_text(encoding="utf-8") for page in TABLES.PAGES))
    assert set(shown) == set(TABLES.tables())


def test_a_changed_figure_and_an_unknown_table_are_found() -> None:
    found = {"a": ["| 1 |", "|---|"]}
    assert (
        TABLES.filled("<!-- begin a -->\n| 2 |\n<!-- end a -->", found)
        == "<!-- begin a -->\n| 1 |\n|---|\n<!-- end a -->"
    )
    with pytest.raises(ValueError, match="no table 'b'"):
        TABLES.filled("<!-- begin b -->\n<!-- end b -->", found)
    with pytest.raises(ValueError, match="not ended"):
        TABLES.filled("<!-- begin a -->\n", found)


@pytest.mark.parametrize("record", MNIST, ids=lambda record: f"{record['recipe']}-{record['labels']}")
def test_packaged_records_have_the_same_final_errors(record: dict) -> None:
    assert RECIPES[record["recipe"]]().epochs == record["epochs"]
    file, errors = PACKAGED / f"{record['recipe']}.json", np.array(TABLES.final_errors(record)) / 10_000
    packaged = json.loads(file.read_text())["budgets"].get(str(record["labels"])) if file.exists() else None
    if packaged is None:
        assert len(errors) <= 1, f"{len(errors)} finished runs and no packaged record"
        return
    assert packaged["runs"] == len(errors)
    wanted = {"mean": errors.mean(), "low": errors.min(), "high": errors.max()}
    assert packaged["points"][-1]["error"] == pytest.approx(wanted, abs=1e-6)


@pytest.mark.parametrize(
    ("values", "text"),
    [
        ([71, 75, 65, 68, 80, 90, 72, 104, 71, 63], "76 ± 13"),
        ([66, 67, 67], "66.7 ± 0.6"),
        ([86], "86"),
        ([], "not finished"),
    ],
)
def test_mean_and_standard_deviation(values: list[int], text: str) -> None:
    assert TABLES.rounded(TABLES.figure(values)) == text
    if len(values) > 1:
        assert float(text.split(" ± ")[1]) == pytest.approx(np.std(values, ddof=1), abs=0.5)
