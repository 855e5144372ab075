"""The paper's tables as data: the quantity, the number of label subsets, and the results.

Source: paper, section 6 (tables 1 to 3 and the ablation of the Inception score). Standard deviations are over ten
random label subsets; that of the ablation is over ten parts of the 50,000 samples.
"""

from dataclasses import dataclass

__all__ = ["TABLES", "Figure", "Measure", "PaperTable", "Row"]


@dataclass(frozen=True)
class Figure:
    """Mean and standard deviation over `num` subsets."""

    mean: float
    std: float
    num: int = 10


@dataclass(frozen=True)
class Measure:
    """The quantity of a table.

    Args:
        name: name for a column or an axis.
        log_name: its log key.
        factor: factor from the logged value to the table's unit.
        decimals: decimals of a single value.
        lower_is_better: whether small values are good.
    """

    name: str
    log_name: str
    factor: float = 1.0
    decimals: int = 0
    lower_is_better: bool = True


@dataclass(frozen=True)
class Row:
    """One line of a table: a recipe with a label budget, and the paper's figures for one model and for ten.

    Args:
        title: name of the line.
        recipe: a name of `RECIPES`.
        labels: the label budget; None for the recipe's own.
        one: the paper's figure for one model; None if it gives none.
        ensemble: the paper's figure for an ensemble of ten.
    """

    title: str
    recipe: str
    labels: int | None
    one: Figure | None = None
    ensemble: Figure | None = None


@dataclass(frozen=True)
class PaperTable:
    """A table of the paper; `note` is a remark on the comparison."""

    name: str
    title: str
    measure: Measure
    rows: tuple[Row, ...]
    note: str = ""


def _by_labels(recipe: str, figures: dict[int, tuple[Figure, Figure | None]]) -> tuple[Row, ...]:
    return tuple(Row(f"{labels} labels", recipe, labels, one, ensemble) for labels, (one, ensemble) in figures.items())


WRONG = Measure("wrong test images", "test/num_errors")
ERROR = Measure("test error, %", "test/error", factor=100, decimals=2)
SCORE = Measure("Inception score", "samples/inception_score", decimals=2, lower_is_better=False)

TABLES = {
    table.name: table
    for table in (
        PaperTable(
            "mnist",
            "MNIST, permutation-invariant: wrong of 10,000 test images (paper, table 1)",
            WRONG,
            _by_labels(
                "mnist",
                {
                    20: (Figure(1677, 452), Figure(1134, 445)),
                    50: (Figure(221, 136), Figure(142, 96)),
                    100: (Figure(93, 6.5), Figure(86, 5.6)),
                    200: (Figure(90, 4.2), Figure(81, 4.3)),
                },
            ),
        ),
        PaperTable(
            "cifar10",
            "CIFAR-10: test error in % (paper, table 2)",
            ERROR,
            _by_labels(
                "cifar10",
                {
                    1000: (Figure(21.83, 2.01), Figure(19.22, 0.54)),
                    2000: (Figure(19.61, 2.09), Figure(17.25, 0.66)),
                    4000: (Figure(18.63, 2.32), Figure(15.59, 0.47)),
                    8000: (Figure(17.72, 1.82), Figure(14.87, 0.89)),
                },
            ),
        ),
        PaperTable(
            "svhn",
            "SVHN: test error in % (paper, section 6.3)",
            ERROR,
            _by_labels(
                "svhn",
                {
                    500: (Figure(18.44, 4.8), None),
                    1000: (Figure(8.11, 1.3), Figure(5.88, 1.0)),
                    2000: (Figure(6.16, 0.58), None),
                },
            ),
        ),
        PaperTable(
            "ablations",
            "CIFAR-10 samples: Inception score of 50,000 (paper, table 3)",
            SCORE,
            (
                Row("our methods", "cifar10-samples", None, Figure(8.09, 0.07)),
                Row("-VBN+BN", "cifar10-samples-batch-norm", None, Figure(7.54, 0.07)),
                Row("-L+HA", "cifar10-samples-historical-averaging", None, Figure(6.86, 0.06)),
                Row("-LS", "cifar10-samples-no-smoothing", None, Figure(6.83, 0.06)),
                Row("-L", "cifar10-samples-no-labels", None, Figure(4.36, 0.04)),
                Row("-MBF", "cifar10-samples-no-minibatch-features", None, Figure(3.87, 0.03)),
            ),
            note="standard deviations: the paper's over ten parts of its 50,000 samples, ours over runs",
        ),
    )
}
