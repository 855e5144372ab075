"""From a table of the paper to runs, and back to the table with our figures beside the paper's."""

from improved_gan.reproduction.tables import TABLES, Figure, PaperTable, Row

__all__ = ["TABLES", "Figure", "PaperTable", "Row"]
