"""Weights that others published, as released policies: one importer a row."""

from nco.hub.importers.attention_model import import_attention_model

IMPORTERS = {"attention-model": import_attention_model}

__all__ = ["IMPORTERS", "import_attention_model"]
