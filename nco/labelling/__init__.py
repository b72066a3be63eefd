"""Solved instances for imitation, made by many processes."""
