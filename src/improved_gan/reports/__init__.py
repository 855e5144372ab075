"""Reports about runs: an HTML page, interpolations between latents, animations of training, nearest images."""
