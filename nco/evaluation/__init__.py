"""How good policies and solvers are: evaluation on many instances, runs on files, references."""
