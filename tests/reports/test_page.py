import base64
import hashlib
import json
import re
import shutil
from datetime import UTC, datetime
from html.parser import HTMLParser
from pathlib import Path

import pytest

from improved_gan.metrics.classification import wilson_interval
from improved_gan.reports.comparison import named_runs
from improved_gan.reports.evaluate_run import gather
from improved_gan.reports.page import ShownRun, render
from improved_gan.runs import Run
from improved_gan.runs.log import Log

NOW = datetime(2030, 1, 2, 3, 4, tzinfo=UTC)
HOSTILE = """<script>alert(1)</script>'"><img src=x onerror=alert(2)>{{ 7 * 7 }}</style>"""


class Page(HTMLParser):
    """The page's elements, its headings, and what stands in its tables."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict]] = []
        self.texts: list[str] = []
        self.scripts: list[str] = []
        self._in = ""
        self.feed(text)

    def handle_starttag(self, tag, attributes) -> None:
        self.tags.append((tag, dict(attributes)))
        self._in = tag

    def handle_data(self, data) -> None:
        (self.scripts if self._in == "script" else self.texts).append(data)

    def handle_endtag(self, tag) -> None:
        self._in = ""

    def text(self) -> str:
        return " ".join(" ".join(self.texts).split())


def show(*paths: Path, title: str = "Title") -> Page:
    shown = [
        ShownRun(run, gather(run, data_folder=None, device="cpu", say=lambda _: None, warn=pytest.fail, trust=True))
        for run in named_runs(paths)
    ]
    return Page(render(shown, title=title, now=NOW))


@pytest.fixture(scope="module")
def two_runs_page(small_runs: dict[str, Path]) -> Page:
    return show(*small_runs.values())


def test_nothing_is_loaded_from_elsewhere_and_the_policy_allows_our_script_alone(two_runs_page: Page) -> None:
    for tag, attributes in two_runs_page.tags:
        for name in ("src", "href"):
            assert attributes.get(name, "#").startswith(("#", "data:")), (tag, attributes)
        assert not any(name.startswith("on") for name in attributes)
    policy = next(one["content"] for tag, one in two_runs_page.tags if one.get("http-equiv"))
    script = two_runs_page.scripts[-1]
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    assert f"script-src 'sha256-{digest}'" in policy
    assert policy.startswith("default-src 'none'")


def test_every_image_has_an_alt_text_and_every_heading_cell_its_scope(two_runs_page: Page) -> None:
    pictures = [one for tag, one in two_runs_page.tags if tag == "img"]
    assert len(pictures) > 50
    assert all(one["alt"] for one in pictures)
    assert all(one.get("scope") in ("row", "col") for tag, one in two_runs_page.tags if tag == "th")
    identifiers = [one["id"] for _, one in two_runs_page.tags if "id" in one]
    assert len(identifiers) == len(set(identifiers))


def test_all_parts_are_there_and_missing_ones_have_a_reason(two_runs_page: Page) -> None:
    text = two_runs_page.text()
    for part in (
        "Overview",
        "Warnings",
        "Curves",
        "Samples over time",
        "Confusion matrix",
        "Expected calibration error",
        "15 bins of equal width",
        "Most confident mistakes",
        "Nearest training images",
        "Settings",
        "Timings",
    ):
        assert part in text
    assert "Not shown: the run was trained without labels." in text
    assert text.count("test images wrong") == 4  # overview and classifier of two runs
    assert text.count("95% interval") == 4
    assert "The classifier on test images" in text


def test_the_curves_and_grids_are_in_the_page_as_data(two_runs_page: Page, small_runs: dict[str, Path]) -> None:
    curves, timeline = (json.loads(text) for text in two_runs_page.scripts[:2])
    panel = next(one for one in curves["panels"] if one["title"].startswith("Test error"))
    logged = [100 * report["test/error"] for report in Run(small_runs["first"]).log.reports]
    assert panel["lines"][0]["mean"] == pytest.approx(logged, rel=1e-4)
    assert {(one["view"], one["id"]) for one in curves["owners"]} == {
        ("runs", "run-0"), ("runs", "run-1"), ("runs", "run-2"), ("groups", "group-0"), ("groups", "run-2"),
    }  # fmt: skip
    assert timeline["epochs"] == [1, 2, 3, 4]
    assert [one["epoch"] for one in timeline["runs"][0]] == [1, 2, 3]


def test_names_with_html_in_them_do_no_harm(small_runs: dict[str, Path], tmp_path: Path) -> None:
    run = Path(shutil.copytree(small_runs["first"], tmp_path / HOSTILE.replace("/", "-")))
    lines = (run / "log.jsonl").read_text().splitlines()
    last = {
        **json.loads(lines[-1]),
        f"generator/{HOSTILE}": 1.0,
        "diagnostics": [{"name": HOSTILE, "message": HOSTILE}],
    }
    (run / "log.jsonl").write_text("\n".join([*lines[:-1], json.dumps(last)]))
    page = show(run, title=HOSTILE)
    assert [tag for tag, _ in page.tags].count("script") == 3
    assert not any(one.get("src") == "x" or "onerror" in one for _, one in page.tags)
    assert "<script>alert(1)</script>" in page.text()  # as words
    assert "{{ 7 * 7 }}" in page.text()


def test_a_run_that_has_just_begun(small_runs: dict[str, Path], tmp_path: Path) -> None:
    run = tmp_path / "begun"
    run.mkdir()
    for name in ("recipe.json", "recipe.py"):
        shutil.copy(small_runs["first"] / name, run)
    text = show(run).text()
    assert "no report yet: epoch 0 of 4" in text
    assert "No samples yet." in text
    assert "has no checkpoint yet" in text
    assert "No report has been logged yet." in text


def test_damaged_lines_warnings_and_an_unfinished_run_are_reported(small_runs: dict[str, Path], tmp_path: Path) -> None:
    run = Path(shutil.copytree(small_runs["first"], tmp_path / "run"))
    lines = (run / "log.jsonl").read_text().splitlines()
    first = {**json.loads(lines[0]), "diagnostics": [{"name": "collapsed", "message": "It has collapsed. Try less"}]}
    (run / "log.jsonl").write_text("\n".join([json.dumps(first), lines[1], lines[2][:40]]))
    text = show(run).text()
    assert "not finished: epoch 2 of 4" in text
    assert "1 damaged line of the log skipped" in text
    assert re.search(r"collapsed\s+\(epoch 1\): It has collapsed. Try less", text)


def test_from_the_folder_alone(small_runs: dict[str, Path]) -> None:
    page = Page(render([ShownRun(Run(small_runs["first"]), None)], title="t", now=NOW))
    assert page.text().count("Not computed: the report was made from log and samples only (--log-only).") == 2


def test_a_validation_error_is_in_the_overview_under_its_name(small_runs: dict[str, Path]) -> None:
    run = Run(small_runs["first"])
    renamed = tuple(
        {name.replace("test/", "validation/"): value for name, value in one.items()} for one in run.log.reports
    )
    last = run.log.last
    run.log = Log(renamed)
    page = render([ShownRun(run, None)], title="Title", now=NOW)
    wrong, error = last["test/num_errors"], last["test/error"]
    low, high = wilson_interval(wrong, 500)
    assert wrong == error * 500  # the digits' test images
    assert f"{wrong} of 500 validation images wrong, 95% interval {low:.1%} to {high:.1%}" in page
    assert "The classifier on validation images" in page
    assert "test error is for monitoring only" not in page
    assert f"{last['test/error']:.2%}" in page
