"""From a trained classifier to the images whose labels would tell it most: predictions, choice, a page to label on."""
