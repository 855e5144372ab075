import pytest

from improved_gan.runs.identity import differences, missing_settings
from tests.runs.made import settings_of


def test_texts_are_no_part_of_the_identity_and_tuples_are_lists() -> None:
    stored = settings_of(image_shape=[1, 8, 8], description={"summary": "a"})
    assert differences(stored, settings_of(image_shape=(1, 8, 8), description={"summary": "b"})) == {}


def test_a_setting_that_only_one_side_has_differs_unless_only_a_part_is_compared() -> None:
    stored = settings_of(data_sha256="abc")
    assert differences(stored, settings_of()) == {"data_sha256": "abc"}
    assert differences(settings_of(), stored) == {"data_sha256": None}
    assert differences(stored, {"label_split": {"seed": 2}}, partly=True) == {"label_split.seed": 1}
    assert differences(stored, {"seed": 2, "epochs": 3}, partly=True, ignored=["epochs"]) == {"seed": 1}


@pytest.mark.parametrize(
    "changes",
    [
        {"recipe": 3},
        {"seed": True},
        {"epochs": 0},
        {"values": {}},
        {"label_split": {"seed": 1}},
        {"class_names": [1]},
        {"image_shape": [1, 8]},
        {"image_shape": [1, 8, 1 << 16]},
    ],
)
def test_settings_that_describe_no_run_are_named(changes: dict[str, object]) -> None:
    assert missing_settings(settings_of()) == []
    assert missing_settings(settings_of(**changes)) == list(changes)
