from improved_gan.turing_test.migrations.versions import v0001_tables


def test_it_is_the_first() -> None:
    assert (v0001_tables.revision, v0001_tables.down_revision) == ("0001", None)
