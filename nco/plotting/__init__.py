"""Pictures of solutions and of traces."""
