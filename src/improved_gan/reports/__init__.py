"""Looking at runs: an HTML page about one or several, walks between latents, films of training, nearest images."""
