"""Constructions of first solutions."""
