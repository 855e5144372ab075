"""A trained network as a file that needs none of our code: folded, checked against the original, with a model card."""
