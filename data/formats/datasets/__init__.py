"""Data sets of many instances, of other programs."""
