"""What one run of the hybrid solver knows: its time, and the best solution so far."""

import time
from collections.abc import Sequence

from tensordict import TensorDict

from nco.envs import Route, RoutingEnv
from nco.solution import Solution, judge

EARLY, LATE = 0.01, 0.03  # of the time, by which workers end early and may be late
# Seconds that they end early at least and at most: for their last step and the way back.
LEAST, MOST = 0.003, 0.05


class Incumbent:
    """
    The best solution so far, always a checked one, and the clock.

    Parameters
    ----------
    env, instance
        The problem and one instance of it (batch size 1).
    began
        Value of `time.perf_counter` when the run began.
    limit
        Wall seconds.
    seed
        Of all randomness.
    """

    def __init__(
        self, env: RoutingEnv, instance: TensorDict, began: float, limit: float, seed: int
    ):
        self.env, self.instance, self.seed = env, instance, seed
        self.began, self.limit = began, limit
        self.best: Solution | None = None
        self.trace: list[tuple[float, float]] = []
        self.refusal: Exception | None = None
        self._judging = 0.0

    def at(self, share: float) -> float:
        """Value of `time.perf_counter` when a share of the time is over."""
        return self.began + share * self.limit

    @property
    def stop(self) -> float:
        """When workers end, such that what they found can be checked in time."""
        return self.at(1) - min(MOST, max(LEAST, EARLY * self.limit)) - 1.5 * self._judging

    @property
    def cut(self) -> float:
        """When to stop waiting for workers."""
        return self.at(1 + LATE) - self._judging

    def offer(self, routes: Sequence[Route]) -> bool:
        """Takes a solution if it is feasible and better; returns whether it was."""
        now = time.perf_counter()
        found = judge(self.env, self.instance, routes, 0.0, "")
        self._judging = time.perf_counter() - now
        if not found.feasible or (self.best is not None and found.value >= self.best.value):
            return False
        self.best = found
        self.trace.append((now - self.began, found.value))
        return True

    @property
    def routes(self) -> tuple[Route, ...]:
        """Those of the best solution; none if there is none."""
        return () if self.best is None else self.best.vehicle_routes
