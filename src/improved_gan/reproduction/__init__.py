"""Run the experiments of a table of the paper, and show our results next to the paper's."""

from improved_gan.reproduction.tables import TABLES, Figure, PaperTable, Row

__all__ = ["TABLES", "Figure", "PaperTable", "Row"]
