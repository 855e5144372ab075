"""The visual Turing test (paper, section 4: "human annotators", here judges), as a web study and as functions on votes.

Analysis needs NumPy and SciPy only; the server needs `pip install 'improved-gan[web]'`.
"""

from improved_gan.turing_test.agreement import krippendorff_alpha
from improved_gan.turing_test.chance import above_chance, design_effect, judges_needed, power
from improved_gan.turing_test.errors import TuringTestError
from improved_gan.turing_test.exclusions import Rules, apply_rules
from improved_gan.turing_test.intervals import Estimate, cluster_bootstrap
from improved_gan.turing_test.report import Report, make_report
from improved_gan.turing_test.signal_detection import bias, roc_area, sensitivity
from improved_gan.turing_test.simulation import Population, coverage, simulate
from improved_gan.turing_test.votes import Votes, read_votes, votes_from_rows, votes_to_csv

__all__ = [
    "Estimate",
    "Population",
    "Report",
    "Rules",
    "TuringTestError",
    "Votes",
    "above_chance",
    "apply_rules",
    "bias",
    "cluster_bootstrap",
    "coverage",
    "design_effect",
    "judges_needed",
    "krippendorff_alpha",
    "make_report",
    "power",
    "read_votes",
    "roc_area",
    "sensitivity",
    "simulate",
    "votes_from_rows",
    "votes_to_csv",
]
