"""Weights that others published, as released policies."""

from nco.importers.attention_model import import_attention_model

__all__ = ["import_attention_model"]
