"""The shapes that a solution can have: a tour, routes from depots, split deliveries."""
