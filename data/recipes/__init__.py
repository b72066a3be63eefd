"""Published data sets, made anew bit for bit."""

from nco.data.recipes.attention_model import attention_model, write_attention_model

__all__ = ["attention_model", "write_attention_model"]
