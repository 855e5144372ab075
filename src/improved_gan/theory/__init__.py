"""Claims of the paper that one can compute and watch: importable functions that return arrays, and their plots."""
