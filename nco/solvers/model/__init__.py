"""An instance as classical solvers see it: vehicles, costs, times, limits, integers."""
