"""Tables of measured errors, built from the records in docs/runs; `python docs/_ext/result_tables.py` writes them.

A page names a table between two comments, `<!-- begin NAME -->` and `<!-- end NAME -->`. What stands between them is
replaced, so that the pages read the same in the repository, on the site and on the package index.
"""

import json
import math
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from improved_gan.reproduction.expected_results import readable_duration
from improved_gan.reproduction.statistics import figure, welch
from improved_gan.reproduction.tables import TABLES, Figure

ROOT = Path(__file__).parent.parent.parent
RUNS = ROOT / "docs" / "runs"
PAGES = (ROOT / "README.md", ROOT / "docs" / "results.md", ROOT / "docs" / "learning.md")
PACKAGED = ROOT / "src" / "improved_gan" / "reproduction" / "records"
PAPER = {row.labels: row.one for row in TABLES["mnist"].rows if row.one}

Record = dict[str, Any]


def mnist_records() -> list[Record]:
    """Recorded runs on MNIST, those with a log completed from it."""
    records: list[Record] = json.loads((RUNS / "mnist.json").read_text(encoding="utf-8"))
    for record in records:
        for split in record["splits"]:
            if "log" in split:
                log = [json.loads(line) for line in (RUNS / split["log"]).read_text(encoding="utf-8").splitlines()]
                split["errors"] = {str(line["epoch"]): line["test/num_errors"] for line in log}
                split["minutes"] = round(log[-1]["seconds"] / 60, 1)
                split["lines"] = {line["epoch"]: line for line in log}
    return records


def other_records() -> dict[str, Any]:
    """Recorded figures of everything else, by name."""
    records: dict[str, Any] = json.loads((RUNS / "other.json").read_text(encoding="utf-8"))
    return records


def find(recipe: str, labels: int) -> Record:
    """The record of a recipe and a label budget."""
    return next(one for one in mnist_records() if (one["recipe"], one["labels"]) == (recipe, labels))


def final_errors(record: Record) -> list[int]:
    """Errors after the last epoch, of the finished splits in their order."""
    last = str(record["epochs"])
    return [split["errors"][last] for split in record["splits"] if last in split["errors"]]


def minutes(record: Record) -> list[float]:
    """Minutes of the finished splits, of those that were not interrupted."""
    last = str(record["epochs"])
    return [split["minutes"] for split in record["splits"] if last in split["errors"] and "minutes" in split]


def rounded(figure: Figure | None) -> str:
    """Mean and standard deviation, to the unit where the latter is 10 or more, else to a tenth; one value by itself."""
    if figure is None:
        return "not finished"
    if math.isnan(figure.std):
        return f"{figure.mean:g}"
    decimals = 0 if figure.std >= 10 else 1
    return f"{figure.mean:.{decimals}f} ± {figure.std:.{decimals}f}"


def table(head: Sequence[str], rows: Sequence[Sequence[object]]) -> list[str]:
    """Lines of a Markdown table."""
    first, *others = ["| " + " | ".join(str(cell) for cell in line) + " |" for line in (head, *rows)]
    return [first, "|" + "---|" * len(head), *others]


def glance(records: Sequence[Record]) -> Iterator[list[object]]:
    """One row a recipe and budget: the paper's figure, ours, splits, z, minutes."""
    for record in records:
        paper = PAPER.get(record["labels"])
        ours = figure(final_errors(record))
        difference = None if ours is None or paper is None else welch(ours, paper)
        yield [
            f"[`{record['recipe']}`](#{record['recipe']})",
            "yes" if record["trains_gan"] else "no",
            record["labels"],
            of_paper(record["labels"]),
            f"**{rounded(ours)}**" if ours else rounded(ours),
            ours.num if ours else 0,
            "-" if difference is None else f"{difference.z:.1f}",
            interval(minutes(record)),
        ]


def of_paper(labels: int) -> str:
    """The paper's figure for a number of labels; "-" where it has none."""
    return f"{PAPER[labels].mean:g} ± {PAPER[labels].std:g}" if labels in PAPER else "-"


def interval(values: Sequence[float]) -> str:
    """From the smallest to the largest of some numbers."""
    if not values:
        return "-"
    low, high = min(values), max(values)
    return f"{low:g}" if low == high else f"{low:g} to {high:g}"


def measured(record: Record) -> list[str]:
    """Rows of measurements under the record's headings; a row without a column has "-" there."""
    decimals = record.get("decimals", {})

    def cell(value: Any, column: str) -> str:
        if isinstance(value, dict):
            return f"{cell(value['mean'], column)} ± {cell(value['std'], column)}"
        if isinstance(value, list):
            return ", ".join(cell(one, column) for one in value)
        if isinstance(value, float) and column in decimals:
            return f"{value:.{decimals[column]}f}"
        return f"{value:g}" if isinstance(value, (int, float)) else str(value)

    columns = record["columns"]
    rows = [[cell(row.get(column, "-"), column) for column in columns] for row in record["rows"]]
    return table(list(columns.values()), rows)


def precisions(record: Record) -> list[str]:
    """Errors on each split in float32 and in bfloat16."""
    rows = [[row["precision"], *row["errors"], rounded(figure(row["errors"]))] for row in record["rows"]]
    return table([f"errors of {record['test_images']}, split", *record["splits"], "mean"], rows)


def curves(record: Record, epochs: Sequence[int]) -> list[str]:
    """Errors after some epochs, one row a split, and the minutes of one core."""
    last = record["epochs"]
    rows = [
        [
            split["split"],
            *(
                f"**{error}**" if epoch == last else error
                for epoch in epochs
                for error in [split["errors"][str(epoch)]]
            ),
            f"{split['minutes']:g}",
        ]
        for split in record["splits"]
    ]
    return table(["split, after epoch", *epochs, "minutes"], rows)


def balanced(record: Record, epochs: Sequence[int]) -> list[str]:
    """The course of one run with both weights and the unsupervised loss, one row a quantity."""
    lines = record["splits"][0]["lines"]
    epochs = [epoch for epoch in epochs if epoch in lines] + [max(lines)] * (max(lines) not in epochs)
    rows = [
        ["errors, averaged weights", *(lines[epoch]["test/num_errors"] for epoch in epochs)],
        ["errors, weights as they are", *(lines[epoch]["test/num_errors_without_average"] for epoch in epochs)],
        ["D's unsupervised loss", *(f"{lines[epoch]['discriminator/unsupervised']:.3f}" for epoch in epochs)],
    ]
    return table(["after epoch", *epochs], rows)


def budgets() -> list[str]:
    """`mnist-graph` with each number of labels: the splits one by one."""
    found = sorted((one for one in mnist_records() if one["recipe"] == "mnist-graph"), key=lambda one: one["labels"])
    rows = [
        [
            one["labels"],
            of_paper(one["labels"]),
            f"**{rounded(figure(final_errors(one)))}**",
            ", ".join(str(error) for error in final_errors(one)),
            interval(minutes(one)),
        ]
        for one in found
    ]
    return table(["labels", "paper", "`mnist-graph`", "splits 1, 2, ...", "minutes"], rows)


def graph_splits() -> list[str]:
    """`mnist-graph`: wrong pseudo-labels and test errors, by whether the cluster gets the right class."""
    recorded: Record = json.loads((RUNS / "mnist-graph-splits.json").read_text(encoding="utf-8"))
    tested: dict[tuple[int, int], int] = {
        (record["labels"], split["split"]): split["errors"][str(record["epochs"])]
        for record in (*mnist_records(), other_records()["mnist-graph-later-splits"])
        if record["recipe"] == "mnist-graph"
        for split in record["splits"]
    }
    rows = []
    for labels, splits in sorted(recorded["labels"].items(), key=lambda item: int(item[0])):
        for lost in (False, True):
            chosen = [one for one in splits if (2 * one["wrong_in_cluster"] > recorded["cluster"]["images"]) == lost]
            if chosen:
                wrong = [one["wrong"] for one in chosen]
                errors = [tested[key] for one in chosen if (key := (int(labels), one["split"])) in tested]
                labeled = sum(one["labels_in_cluster"] > 0 for one in chosen)
                in_words = ["wrong" if lost else "right", len(chosen), labeled, interval(wrong)]
                rows.append([labels, *in_words, f"{rounded(figure(errors))} ({len(errors)})" if errors else "-"])
    head = ["labels", "cluster", "splits", "with a label in it", "wrong pseudo-labels of 60,000"]
    return table([*head, "errors of 10,000 (splits trained)"], rows)


def demo(record: Record) -> list[str]:
    """Errors of the demo on each split, and the mean error in per cent."""
    rows = []
    for row in record["rows"]:
        mean = 100 * math.fsum(row["errors"]) / len(row["errors"]) / record["test_images"]
        bold = "**" if row is record["rows"][0] else ""
        rows.append([f"{bold}{row['method']}{bold}", *row["errors"], f"{bold}{mean:.1f}%{bold}"])
    splits = [f"split {split}" for split in record["splits"]]
    return table([f"errors of {record['test_images']}, 50 labels", *splits, "mean"], rows)


def few_labels(record: Record) -> list[str]:
    """Test error of each method in per cent; the best of a column in bold."""
    best = [
        min(row["errors"][i]["mean"] for row in record["rows"] if row["errors"][i])
        for i in range(len(record["labels"]))
    ]
    rows = []
    for row in record["rows"]:
        cells = []
        for cell, lowest in zip(row["errors"], best, strict=True):
            if cell is None:
                cells.append("-")
                continue
            text = f"{cell['mean']:.1f}" + (f" ± {cell['std']:.1f}" if "std" in cell else "")
            cells.append((f"**{text}**" if cell["mean"] == lowest else text) + f" ({cell['num']})")
        rows.append([row["method"], *cells, f"{row['seconds']:,g}"])
    return table(["method", *(f"{labels:,} labels" for labels in record["labels"]), "seconds"], rows)


def ablations(record: Record) -> list[str]:
    """Scores of the columns of table 3: mean, standard deviation and single values."""
    rows = [
        [
            row["column"],
            with_values(row["inception_score"], 2),
            with_values(row["frechet_distance"], 1),
            f"{row['paper']:.2f}",
        ]
        for row in record["rows"]
    ]
    return table(["column", "Inception score", "Fréchet distance", "the paper's score (CIFAR-10)"], rows)


def with_values(values: Sequence[float], decimals: int) -> str:
    """Mean ± standard deviation, and the values in parentheses."""
    found = figure(values)
    assert found is not None
    if len(values) == 1:
        return f"{values[0]:.{decimals}f}"
    single = ", ".join(f"{value:.{decimals}f}" for value in values)
    return f"{found.mean:.{decimals}f} ± {found.std:.{decimals}f} ({single})"


def ensemble(record: Record) -> list[str]:
    """Errors of the models of an ensemble, and of the mean of their probabilities."""
    models = ", ".join(str(errors) for errors in record["models"])
    rows = [
        ["the ten models", f"{models}: {rounded(figure(record['models']))}"],
        ["mean of their probabilities", f"**{record['ensemble']}**"],
    ]
    return table(["", "errors of 10,000"], rows)


def narrow(record: Record) -> list[str]:
    """Errors of the narrow CIFAR-10 networks after some epochs."""
    epochs = list(record["rows"][0]["errors_percent"])
    rows = [
        [row["method"], *(f"{row['errors_percent'][epoch]:.1f}%" for epoch in epochs), row["minutes"]]
        for row in record["rows"]
    ]
    return table(["after epoch", *epochs, "minutes of one core"], rows)


def readme(records: Sequence[Record]) -> list[str]:
    """The README's table: 100 labels, one row a recipe, the paper first."""
    methods = {
        "mnist": "the same, settings of the [paper's date](docs/history.md)",
        "mnist-released": "the same, settings of the last release",
        "mnist-short": "the same in 120 epochs, learning rate falling to 0",
        "mnist-graph": "**trains no GAN**: label spreading, then a small CNN",
    }
    rows = [["the paper", "GAN with feature matching, 300 epochs", "93 ± 6.5", 10, ""]]
    for record in records:
        if record["labels"] == 100 and record["recipe"] in methods:
            found = final_errors(record)
            whole = interval([round(value) for value in minutes(record)]) if found else ""
            rows.append([f"`{record['recipe']}`", methods[record["recipe"]], rounded(figure(found)), len(found), whole])
    return table(
        ["MNIST, 100 labels", "method", "errors of 10,000 test images", "label splits", "minutes of one core"], rows
    )


def packaged() -> list[str]:
    """The records in the package, that `train` prints at its start: error and time at the end of training."""
    rows = []
    for file in sorted(PACKAGED.glob("*.json")):
        record = json.loads(file.read_text(encoding="utf-8"))
        for labels, one in record["budgets"].items():
            end = one["points"][-1]
            error, runs = end["error"], one["runs"]
            low_high = f" ({100 * error['low']:.2f} to {100 * error['high']:.2f}%)" if runs > 1 else ""
            made_on = f"{one['machine'].replace('(R)', '')}, {one['precision']}"
            words = [f"`{record['recipe']}`", labels, runs, f"{100 * error['mean']:.2f}%{low_high}"]
            rows.append([*words, readable_duration(end["seconds"]), made_on])
    return table(["recipe", "labels", "runs", "error: mean (range)", "one run, one thread", "on"], rows)


def tables() -> dict[str, list[str]]:
    """Every table by its name."""
    records, others = mnist_records(), other_records()
    columns = ["recipe", "trains a GAN", "labels", "paper", "ours", "splits", "z", "minutes a model"]
    return {
        "readme": readme(records),
        "glance": table(columns, list(glance(records))),
        "mnist": balanced(find("mnist", 100), (1, 5, 12, 22, 30, 41, 49, 57, 100, 150, 200, 250, 300)),
        "mnist-released": curves(
            find("mnist-released", 100), (1, 12, 22, 32, 44, 55, 67, 81, 99, 120, 150, 180, 210, 240, 270, 300)
        ),
        "mnist-short": curves(find("mnist-short", 100), (1, 6, 12, 22, 32, 44, 55, 67, 81, 99, 108, 120)),
        "mnist-graph-two-rounds": curves(find("mnist-graph-two-rounds", 100), (1, 6, 12)),
        "budgets": budgets(),
        "graph-splits": graph_splits(),
        "packaged": packaged(),
        "demo": demo(others["demo"]),
        **{name: few_labels(others[name]) for name in others if name.startswith("few-labels")},
        "ensemble": ensemble(others["ensemble"]),
        **{name: measured(record) for name, record in others.items() if "columns" in record},
        "precision": precisions(others["precision"]),
        "ablations": ablations(others["ablations"]),
        "cifar10-narrow": narrow(others["cifar10-narrow"]),
    }


def filled(text: str, found: dict[str, list[str]]) -> str:
    """A page with the tables between its comments.

    Raises:
        ValueError: the page names a table that does not exist, or does not end one that it begins.
    """

    def replace(match: re.Match[str]) -> str:
        if match[1] not in found:
            raise ValueError(f"there is no table {match[1]!r}: there are {', '.join(found)}")
        return "\n".join([f"<!-- begin {match[1]} -->", *found[match[1]], f"<!-- end {match[1]} -->"])

    text, number = re.subn(r"<!-- begin ([\w-]+) -->\n.*?<!-- end \1 -->", replace, text, flags=re.DOTALL)
    if number != text.count("<!-- begin "):
        raise ValueError("a table is begun and not ended")
    return text


if __name__ == "__main__":
    for page in PAGES:
        page.write_text(filled(page.read_text(encoding="utf-8"), tables()), encoding="utf-8")
