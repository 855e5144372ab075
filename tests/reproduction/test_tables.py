from improved_gan.recipes import mnist
from improved_gan.reproduction import TABLES


def test_table_1_agrees_with_the_recipe() -> None:
    rows = TABLES["mnist"].rows
    assert [row.labels for row in rows] == [20, 50, 100, 200]
    for row in rows:
        assert row.one is not None
        assert mnist(row.labels).paper == f"{row.one.mean:g} ± {row.one.std:g} of 10,000 wrong"


def test_an_ensemble_is_better_than_one_model_in_every_row_of_the_paper() -> None:
    for table in TABLES.values():
        for row in table.rows:
            if row.one and row.ensemble:
                assert row.ensemble.mean < row.one.mean


def test_names_and_rows_are_unique() -> None:
    for name, table in TABLES.items():
        assert table.name == name
        assert len({(row.recipe, row.labels) for row in table.rows}) == len(table.rows)
