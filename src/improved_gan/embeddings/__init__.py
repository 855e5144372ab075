"""Pretrained networks on many images: which network is meant, its features of a folder, and runs on these features."""

from improved_gan.embeddings.backbone import Backbone, load_backbone
from improved_gan.embeddings.embed import Embedding, embed_images
from improved_gan.embeddings.networks import choose_network

__all__ = ["Backbone", "Embedding", "choose_network", "embed_images", "load_backbone"]
