"""Runs: one owner of a run folder, from a recipe to a run, and the loop that fills its folder."""

from improved_gan.runs.run import Networks, Run

__all__ = ["Networks", "Run"]
