"""What accumulates along routes: time, length, and how far a rule has to look ahead."""
