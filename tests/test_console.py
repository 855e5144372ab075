import pytest

from improved_gan.console import progress_bar


def test_nothing_is_printed_where_there_is_no_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    with progress_bar("decoding", total=5, done=2) as advance:
        advance(3)
    assert capsys.readouterr() == ("", "")


def test_a_terminal_sees_the_rate(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")
    with progress_bar("decoding", total=5) as advance:
        advance(5)
    shown = capsys.readouterr().err
    assert "decoding" in shown
    assert "images/s" in shown
