"""Export a trained network to a file that runs without this package: folded, verified, with a model card."""
