"""Recipes for `nco fit`, one runnable YAML an experiment."""
