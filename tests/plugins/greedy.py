"""Routes that always go on to the nearest customer: a solver from outside."""

import time

import torch

from nco.data.metric import pairwise
from nco.plugins import register
from nco.solution import judge


class NearestNeighbour:
    """Every problem with depots, by its mask alone."""

    name = "nearest neighbour"

    def __init__(self, far=1e9):
        self.far = far  # what going home counts

    def require(self, env, instance):
        """Takes everything."""

    def solve(self, env, instance, time_limit=None, seed=0, start=None):
        began, legs = time.perf_counter(), pairwise(instance)[0]
        state, actions = env.reset(instance), []
        while not bool(env.done(state).all()):
            away = legs[state.current[0, 0]].clone()
            away[: env.visits.depots(instance)] += self.far
            away[~env.mask(state)[0, 0]] = torch.inf
            actions.append(int(away.argmin()))
            state = env.step(state, torch.tensor([[actions[-1]]]))
        routes = env.visits.routes(instance, actions)
        return judge(env, instance, routes, time.perf_counter() - began, self.name)


register.solver("nearest", "goes on to the nearest customer", NearestNeighbour)
