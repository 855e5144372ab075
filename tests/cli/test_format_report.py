import io

from rich.console import Console

from improved_gan.cli.format_report import evaluation_rows, show
from improved_gan.metrics import evaluation

SCORE = {
    "mean": 2.5,
    "std": 0.125,
    "interval": (2.25, 2.75),
    "pooled": 2.6,
    "extrapolated": 2.7,
    "conditional_entropy": 1.0,
    "marginal_entropy": 2.0,
    "num_images": 50,
    "num_splits": 5,
    "num_classes": 10,
    "missing_classes": [3, 4],
    "order": "by name",
}
METRICS = {
    "is": SCORE,
    "fid": {"value": 12.5, "images": 50, "reference_images": 60},
    "kid": {"mean": 0.001, "std": 0.0, "subsets": 1, "subset_size": 50},
    "fid-infinity": {"value": 11.0, "bias": 1.5, "sizes": (25, 50), "images": 50},
    "cmmd": {"value": 0.75, "images": 50, "reference_images": 60},
    "vendi": {"value": 7.5, "reference": 8.5},
    "density-coverage": {"density": 1.125, "coverage": 0.875, "neighbors": 5},
    "precision-recall": {"precision": 0.5, "recall": 0.25, "neighbors": 3},
    "nearest": {"near_copy": 0.5, "expected": 0.25, "copies": 1, "nearest": [["a[1].png", "b.png", 0.5]]},
    "birthday": {
        "pairs": 0, "distinct": 50, "support": None, "interval": [332.0, None], "threshold": 0.5, "nearest": []
    },
}  # fmt: skip


def test_every_number_is_in_the_table() -> None:
    table = {name.strip(): value for name, value, _ in evaluation_rows(METRICS)}
    assert table["Inception score"] == "2.5000 ± 0.1250"
    assert table["95% interval"] == "2.2500 .. 2.7500"
    assert table["classes missing"] == "2 of 10"
    assert table["Fréchet distance"] == "12.5000"
    assert table["kernel inception distance"] == "0.001000 ± 0.000000"
    assert (table["Fréchet distance, infinite images"], table["bias"]) == ("11.0000", "1.5000")
    assert table["maximum mean discrepancy"] == "0.7500"
    assert (table["density"], table["coverage"], table["Vendi score"]) == ("1.1250", "0.8750", "7.5000")
    assert (table["precision"], table["recall"]) == ("0.5000", "0.2500")
    assert (table["near-copies"], table["copies"]) == ("50.0%", "1")
    assert table["support size"] == "no upper bound"
    assert "95% interval" not in {row[0].strip() for row in evaluation_rows({"is": SCORE | {"interval": None}})}


def test_an_unknown_number_of_reference_images_is_told() -> None:
    ((_, _, words),) = evaluation_rows({"fid": {"value": 1.0, "images": 50, "reference_images": None}})
    assert "50 against an unknown number of images" in words


def test_every_metric_has_its_rows() -> None:
    assert set(METRICS) == set(evaluation.METRICS)


ONE_OF_EACH = {"nearest": {"near_copy": 0.5, "expected": 0.25, "copies": 1, "nearest": [["a[1].png", "b.png", 0.5]]}}


def test_the_card_names_network_conversions_and_warnings_as_they_are() -> None:
    screen = io.StringIO()
    source = {"name": "samples[1]", "images": 50, "skipped": ["x.png"], "conversions": {"L to RGB": 3}}
    card = {
        "source": source,
        "reference": {"name": "real.npz", "statistics": True},
        "network": {"name": "net", "sha256": "abcdef0123456789", "resize": "none", "precision": "float32"},
        "metrics": ONE_OF_EACH,
        "warnings": ["only 50 images"],
    }
    show(card, Console(file=screen, width=160))
    text = screen.getvalue()
    assert "samples[1]: 50 images (3 L to RGB, 1 skipped)" in text
    assert "against real.npz (statistics)" in text
    assert "network net (sha256 abcdef012345), float32" in text
    assert "warning: only 50 images" in text
    assert "a[1].png  and  b.png" in text
