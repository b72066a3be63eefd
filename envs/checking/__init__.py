"""The independent checker of finished routes, and reasons why an instance has no solution."""
