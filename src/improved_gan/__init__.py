"""Improved Techniques for Training GANs (Salimans et al., 2016, arXiv 1606.03498) in PyTorch."""

__version__ = "0.1.0"
