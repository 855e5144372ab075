import pytest

from improved_gan.turing_test.errors import TuringTestError
from improved_gan.turing_test.settings import StudySettings
from tests.mutations import damaged_values, read_all


def test_settings_can_be_stored() -> None:
    settings = StudySettings(design="timed", exposure_ms=250, max_judges=9)
    assert StudySettings.from_dict(settings.to_dict()) == settings
    assert settings.length == 57
    with pytest.raises(TuringTestError, match="newer version"):
        StudySettings.from_dict({"color": 1})
    older = {name: value for name, value in settings.to_dict().items() if name != "kinds"}
    assert StudySettings.from_dict(older).kinds == "fixed"  # as sessions were before kinds were drawn one by one
    assert [
        StudySettings(prevalence=0.3, design=design).signal_probability for design in ("yes_no", "two_alternative")
    ] == [0.3, 0.5]


@pytest.mark.parametrize(
    "wrong",
    [{"completion_code": "x" * 65}, {"failed_code": ""}, {"completion_code": "a\n"},
     {"design": "x"}, {"kinds": "x"}, {"feedback": "x"}, {"trials": 0}, {"prevalence": 1.0}, {"practice": -1},
     {"exposure_ms": 200}, {"design": "timed", "exposure_ms": 50}, {"max_judges": 0},
     {"return_url": "http://a"}, {"title": " "}],
)  # fmt: skip
def test_wrong_settings_are_refused(wrong) -> None:
    with pytest.raises(TuringTestError):
        StudySettings(**wrong)


def test_of_400_damaged_settings_each_is_taken_or_told_in_one_line() -> None:
    stored = {"settings": StudySettings(design="timed", exposure_ms=300, return_url="https://a.org").to_dict()}
    told = read_all(damaged_values(stored, 400), lambda one: StudySettings.from_dict(one.get("settings")))
    assert told > 150
