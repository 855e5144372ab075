"""Active learning: predictions of a trained classifier, selection of uncertain images, and a page for labeling them."""
