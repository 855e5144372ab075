import xml.etree.ElementTree as ET

from improved_gan.turing_test.report import make_report
from improved_gan.turing_test.report_formats import PLOTS, draw, report_text
from improved_gan.turing_test.simulation import Population, simulate
from improved_gan.turing_test.votes import votes_from_rows


def test_it_says_every_figure_and_never_nan() -> None:
    text = report_text(make_report(simulate(Population({"a": 0.7, "b": 0.6}), judges=20, trials=40)))
    for words in ("a: correct", "a minus b:", "with feedback:", "above chance: p =", "alpha =", "response time, real"):
        assert words in text
    for votes in (votes_from_rows([]), simulate(Population(), judges=1, trials=2)):
        assert "nan" not in report_text(make_report(votes))


def test_every_plot_that_applies_is_a_picture_also_for_one_judge() -> None:
    for judges in (1, 12):
        report = make_report(simulate(Population({"a": 0.7, "b": 0.6}), judges=judges, trials=30))
        for name, plot in PLOTS.items():
            if plot.applies(report):
                assert ET.fromstring(draw(name, report)).tag.endswith("svg")
    assert not any(plot.applies(make_report(votes_from_rows([]))) for plot in PLOTS.values())
