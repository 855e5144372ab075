"""The report in words, for a terminal."""

import math

from improved_gan.turing_test.intervals import Estimate
from improved_gan.turing_test.report import Report

__all__ = ["report_text"]

_ARMS = {"feedback": "with feedback", "no_feedback": "without feedback"}


def _percent(found: Estimate) -> str:
    if math.isnan(found.value):
        return "not defined"
    return f"{found.value:6.1%}" + ("" if math.isnan(found.low) else f" [{found.low:.1%}, {found.high:.1%}]")


def _plain(found: Estimate) -> str:
    if math.isnan(found.value):
        return "not defined"
    return f"{found.value:.2f}" + ("" if math.isnan(found.low) else f" [{found.low:.2f}, {found.high:.2f}]")


def report_text(report: Report) -> str:
    """Several lines: what was left out, then accuracy, d' and bias by model, arms, learning, agreement.

    Example:
        >>> from improved_gan.turing_test import Population, make_report, simulate
        >>> print(report_text(make_report(simulate(Population(), judges=9, trials=20))).splitlines()[0])
        180 answers of 9 judges; left out by the rules:
    """
    lines = [f"{report.votes_before} answers of {report.judges_before} judges; left out by the rules:"]
    lines += [f"  {one.rule}: {one.judges} judges, {one.votes} answers" for one in report.exclusions]
    lines.append(f"  correct before {_percent(report.accuracy_before)}, after {_percent(report.accuracy)}")
    if not report.votes:
        return "\n".join([*lines, "no answers are left"])
    share = f"{report.correct} right ({report.correct / report.votes:.1%})"
    lines.append(f"{report.votes} answers of {report.judges} judges count: {share}")
    if not math.isnan(report.p_above_chance):
        lines.append(f"above chance: p = {report.p_above_chance:.2g} (one-sided, judges as clusters)")
    lines += [f"note: {one}" for one in report.notes]
    lines.append("by model, 95% intervals over judges:")
    for one in report.models:
        lines.append(
            f"  {one.model}: correct {_percent(one.accuracy)}, d' {_plain(one.sensitivity)}, bias {_plain(one.bias)}"
        )
        lines.append(f"    hits {_percent(one.hit_rate)}, false alarms {_percent(one.false_alarm_rate)}")
        if one.roc_area is not None:
            lines.append(f"    area under the ROC curve {_plain(one.roc_area)}")
    lines += [f"  {one} minus {two}: {_percent(found)}" for one, two, found in report.differences]
    lines.append("by arm, and from the first to the last fifth of the session:")
    for arm, found in report.arms.items():
        blocks = " ".join(f"{block.value:.0%}" if block.value == block.value else "-" for block in report.learning[arm])
        lines.append(f"  {_ARMS.get(arm, arm)}: {_percent(found)}; {blocks}")
    for time, found in report.exposures.items():
        lines.append(f"  shown for {time} ms: {_percent(found)}")
    if report.thresholds:
        lines.append(f"staircases settle at {', '.join(f'{one:.0f}' for one in report.thresholds)} ms (70.7% correct)")
    for name, (low, middle, high) in report.response_times.items():
        lines.append(f"response time, {name}: median {middle:.0f} ms, middle half {low:.0f} to {high:.0f}")
    if not math.isnan(report.agreement):
        lines.append(f"agreement about the same picture: alpha = {report.agreement:.2f} (Krippendorff)")
    return "\n".join(lines)
