import io

from rich.console import Console

from improved_gan.cli.format_report import show

METRICS = {"nearest": {"near_copy": 0.5, "expected": 0.25, "copies": 1, "nearest": [["a[1].png", "b.png", 0.5]]}}


def test_the_card_names_network_conversions_and_warnings_as_they_are() -> None:
    screen = io.StringIO()
    source = {"name": "samples[1]", "images": 50, "skipped": ["x.png"], "conversions": {"L to RGB": 3}}
    card = {
        "source": source,
        "reference": {"name": "real.npz", "statistics": True},
        "network": {"name": "net", "sha256": "abcdef0123456789", "resize": "none", "precision": "float32"},
        "metrics": METRICS,
        "warnings": ["only 50 images"],
    }
    show(card, Console(file=screen, width=160))
    text = screen.getvalue()
    assert "samples[1]: 50 images (3 L to RGB, 1 skipped)" in text
    assert "against real.npz (statistics)" in text
    assert "network net (sha256 abcdef012345), float32" in text
    assert "warning: only 50 images" in text
    assert "a[1].png  and  b.png" in text
