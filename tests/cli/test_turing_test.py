import builtins
import json
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from improved_gan.cli.turing_test import StudyOptions, turing_test
from improved_gan.turing_test.errors import TuringTestError

RUNNER = CliRunner()


def run(*words: object) -> str:
    found = RUNNER.invoke(turing_test, [str(word) for word in words], catch_exceptions=True)
    if found.exception is not None and not isinstance(found.exception, SystemExit):
        raise found.exception
    return found.output


@pytest.fixture
def pictures(tmp_path: Path, real_and_gan: Path) -> Path:
    (tmp_path / "gan" / "bad.png").write_bytes(b"x")
    return tmp_path


def test_create_export_import_report(pictures: Path) -> None:
    db, words = pictures / "s.db", ("--real", pictures / "real", "--generated", f"dcgan={pictures / 'gan'}")
    text = run("create", *words, "--db", db, "--design", "two-alternative")
    assert "25 real, 25 dcgan, 3 check; 8x8 pixels, 57 trials a judge" in text
    assert "bad.png: not a picture" in text
    assert "shown only once" in text
    assert "this study existed" in run("create", *words, "--db", db, "--design", "two-alternative")
    assert "0 answers" in run("export", "--db", db, "--out", pictures / "out", "--pictures")
    assert {path.name for path in (pictures / "out").iterdir()} == {
        "votes.csv", "participants.csv", "pictures.csv", "study.json", "data_dictionary.json"
    }  # fmt: skip
    assert "closed" in run("import", pictures / "out" / "study.json", "--db", pictures / "again.db")
    assert "no answers are left" in run("report", "--db", pictures / "again.db")


def test_a_lost_token_is_replaced(pictures: Path) -> None:
    db = pictures / "s.db"
    first = run("create", "--real", pictures / "real", "--generated", pictures / "gan", "--db", db)
    again = [run("token", "--db", db).split()[1] for _ in range(2)]
    assert len(set(again)) == 2
    assert not any(token in first for token in again)
    with pytest.raises(TuringTestError, match="no study called x"):
        run("token", "--db", db, "--study", "x")


def test_the_truth_of_a_simulation_holds_what_feedback_gains() -> None:
    def truth(*words: object) -> str:
        return run("simulate", "--accuracy", "g=0.7", *words).split("true value of g: ")[1].split("%")[0]

    assert float(truth("--feedback-gain", 2)) > float(truth()) + 3


def test_simulate_and_report_of_a_table(tmp_path: Path) -> None:
    text = run("simulate", "--accuracy", "cifar=0.787", "--out", tmp_path / "v.csv")
    assert "true value of cifar: 78.7% correct" in text
    assert "26 judges (power 80%)" in text
    again = run("report", "--votes", tmp_path / "v.csv", "--out", tmp_path / "r.json")
    assert again.splitlines()[:8] == text.splitlines()[:8]
    assert json.loads((tmp_path / "r.json").read_text())["votes"] == 2000
    assert "of 3 studies" in run("simulate", "--studies", 3, "--judges", 5, "--trials", 9)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("serve", "--real", "x"), "needs --real FOLDER and --generated FOLDER"),
        (("serve", "--db", "/nowhere/x.db"), "there is no database"),
        (("serve", "--host", "0.0.0.0"), "add --public"),
        (("serve", "--design", "x"), "a design is one of"),
        (("create", "--real", "/nowhere", "--generated", "/nowhere"), "is not a folder"),
        (("create", "--real", "x", "--generated", "a=x", "--generated", "a=y"), "each name once"),
        (("report", "--db", "/nowhere/x.db"), "there is no database"),
        (("simulate", "--accuracy", "lots"), "takes a number"),
        (("serve", "--consent", "/nowhere"), "cannot be read as text"),
        (("serve", "--judges", 60, "--break-every", 0), "--break-every, --judges: for a new study"),
        (("simulate", "--score", "a=1", "--score", "b=0"), "--score has no effect in the design yes-no"),
        (("simulate", "--design", "preference", "--feedback-gain", 1), "--feedback-gain has no effect"),
        (("simulate", "--studies", 2, "--out", "v.csv"), "leave out --studies, or --out"),
    ],
)
def test_what_cannot_be_done_is_told_with_its_remedy(words, message: str, tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(TuringTestError, match=message):
        run(*words)


def test_a_missing_extra_names_the_command(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def without(name, *rest, real=builtins.__import__):
        if name == "improved_gan.turing_test.database":
            raise ModuleNotFoundError("No module named 'sqlalchemy'", name="sqlalchemy")
        return real(name, *rest)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(TuringTestError, match=r"needs sqlalchemy: pip install 'improved-gan\[web\]'"):
        run("report")


def test_help_of_every_command_is_quick_and_has_an_example() -> None:
    for name in ("serve", "create", "report", "export", "import", "token", "backup", "simulate"):
        assert "Example" in run(name, "--help")
    program = "import sys, improved_gan.cli.turing_test; sys.exit(bool({'numpy', 'starlette'} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0


def test_options_become_settings_and_folders(tmp_path: Path) -> None:
    options = StudyOptions(judges=3, exposure=200, design="timed", scores=("a=s.csv",), top=("a=0.1",))
    settings, folders = options.settings(), options.folders(Path("r"), ["a=x", "y"])
    assert (settings.max_judges, settings.exposure_ms, settings.design) == (3, 200, "timed")
    assert folders.generated == {"a": Path("x"), "generated": Path("y")}
    assert (folders.scores, folders.top) == ({"a": Path("s.csv")}, {"a": 0.1})
