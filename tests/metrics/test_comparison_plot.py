from improved_gan.metrics.comparison import _NUMBERS
from improved_gan.metrics.comparison_plot import _READING, comparison_figure


def test_one_panel_a_number_with_dots_intervals_and_names() -> None:
    fid = {"values": [3.0, 5.0], "intervals": [[2.5, 3.5], [4.0, 6.0]], "differences": []}
    support = {"values": [None, 7.0], "intervals": [None, None], "differences": []}
    numbers = {"FID": fid, "KID": fid, "support size": support, "density": fid}
    figure = comparison_figure({"models": ["a", "b" * 40], "replicates": 100, "numbers": numbers})
    panels = [panel for panel in figure.axes if panel.get_visible()]
    assert [panel.get_title() for panel in panels] == [
        "FID (0 is best)", "KID (0 is best)", "support size (higher is better)", "density (1 as real images)"
    ]  # fmt: skip
    assert [len(panel.lines) for panel in panels] == [4, 4, 1, 4]
    assert list(panels[0].lines[0].get_xdata()) == [2.5, 3.5]
    assert [text.get_text() for text in panels[0].get_yticklabels()] == ["a", "..." + "b" * 21]


def test_every_number_of_a_comparison_says_what_is_best() -> None:
    assert set(_READING) == {title for titles in _NUMBERS.values() for title in titles.values()}
