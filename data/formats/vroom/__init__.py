"""VROOM's JSON."""
