from improved_gan.data.wording import counted, listed, shortened


def test_few_names_are_all_listed_and_none_is_too_long() -> None:
    assert listed(["a"]) == "a"
    assert listed(list("abcde")) == "a, b, c, d, e"
    assert listed(list("abcdef")) == "a, b, c, d, e and 1 more"
    assert listed(["x" * 500, "b"]) == "x" * 120 + " ..., b"
    assert shortened("y" * 120) == "y" * 120


def test_one_and_many() -> None:
    assert [counted(num, "file") for num in (0, 1, 2)] == ["0 files", "1 file", "2 files"]
