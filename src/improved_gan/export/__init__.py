"""Export a trained network to a file that runs without this package: fused, verified, with a model card."""
