"""Pretrained networks on many images: which network is meant, and its features of a folder."""
