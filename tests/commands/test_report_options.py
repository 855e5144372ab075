from dataclasses import fields
from pathlib import Path

import pytest
from typer.testing import CliRunner

from improved_gan.cli import app
from improved_gan.commands import report


def test_every_option_reaches_the_command(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[report.ReportOptions] = []
    monkeypatch.setattr(report, "run_report", lambda options, console: seen.append(options))
    words = [
        "a",
        "b",
        "--out",
        "c.html",
        "--data",
        "d",
        "--title",
        "t",
        "--log-only",
        "--trust",
        "--device",
        "cpu",
        "--threads",
        "2",
        "--trust",
    ]
    done = CliRunner().invoke(app, ["report", *words])
    assert done.exit_code == 0, done.output
    assert seen == [report.ReportOptions([Path("a"), Path("b")], Path("c.html"), Path("d"), "t", True, "cpu", 2, True)]
    assert len(fields(report.ReportOptions)) == 8


def test_no_run_is_wrong_usage() -> None:
    assert CliRunner().invoke(app, ["report"]).exit_code == 2
