from pathlib import Path

import pytest

from improved_gan.commands import export
from improved_gan.commands.export_options import export as command


def test_every_option_reaches_the_command(monkeypatch: pytest.MonkeyPatch) -> None:
    called = {}
    monkeypatch.setattr(export, "run_export", lambda run, **words: called.update(words, run=run))
    command(Path("run"), Path("x.pt2"), "features", "torch", "nchw", trust=True, unfinished=True)
    called.pop("console")
    assert called == {"run": Path("run"), "out": Path("x.pt2"), "what": "features", "format_": "torch",
                     "layout": "nchw", "unfinished": True, "trust": True}  # fmt: skip
