"""Released policies: loading, saving, what they serve, weights of other programs."""
