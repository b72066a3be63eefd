"""The length of a route is bounded."""

from collections.abc import Sequence

import torch
from tensordict import TensorDict
from torch import Tensor

from nco.data.neutral import is_neutral
from nco.envs.checking.routes import Route, Violation
from nco.envs.checking.view import InstanceView, at_least, stops_of, whole
from nco.envs.normalisation import length_unit, limits
from nco.envs.resources.resource import Amounts, Move, Resource
from nco.envs.resources.travel import Kind, in_steps, per_vehicle
from nco.envs.state import State


class DistanceLimit(Resource):
    """
    A route is at most so long, the way back to the depot included (OP; VRPL).

    Instance: ``distance_limit [B]`` or per vehicle ``[B, V]``. State: ``length [B, R]``, driven
    since the depot. On open routes the way back does not count.

    Exactness: a leg has the metric and precision of the instance, the legs of a route are added
    in double precision in the order driven (in steps where distances are decimal, see
    `nco.envs.resources.travel`), and that sum is compared with the limit as it is. The mask tests
    the same sum, way back included, so that mask and check agree to the last bit. (The code of Kool
    et al. keeps 1e-6 away from the limit instead.)

    Features: the limit, and the remaining length in the decoder, in the unit of the policy's
    coordinates (Kool et al. 2019, appendix D); 0 where there is no limit.
    """

    reads = ("distance_limit",)
    stated_by = ("distance_limit",)
    scope = "route"
    vehicle_dim = 1
    context_dim = 1
    parts = ("length",)

    def reversible_on(self, instance: TensorDict) -> Tensor:
        return is_neutral(instance, "open_route")

    def kind(self, instance: TensorDict) -> Kind:
        return "length"

    def bounds(self, instance: TensorDict) -> dict[str, Tensor]:
        limit = in_steps(instance, "length", instance["distance_limit"])
        unit = in_steps(instance, "length", length_unit(instance)).unsqueeze(-1)
        return {"length limit": limit, "length unit": unit}

    def begin(self, state: State, vehicle: Tensor) -> Amounts:
        return (torch.zeros(vehicle.shape, dtype=torch.double, device=vehicle.device),)

    def extend(self, state: State, amounts: Amounts, move: Move) -> tuple[Amounts, Tensor]:
        length = amounts[0] + move.travel("length")
        return (length,), length <= self._limit(state).unsqueeze(-1)

    def home(self, state: State, amounts: Amounts, move: Move) -> Tensor:
        return amounts[0] + move.travel("length") <= self._limit(state).unsqueeze(-1)

    def _limit(self, state: State) -> Tensor:
        return per_vehicle(state.tables["length limit"], state.first)

    def vehicle_features(self, instance: TensorDict) -> Tensor:
        return limits(instance, "distance_limit", length_unit(instance))

    def context(self, state: State) -> Tensor:
        left = (self._limit(state) - state.parts["length"]) / state.tables["length unit"]
        return left.nan_to_num(posinf=0).unsqueeze(-1).float()  # no limit

    def violations(self, instance: TensorDict, routes: Sequence[Route]) -> list[Violation]:
        plain, found = InstanceView(instance), []
        for k, route in plain.known(routes):
            if (message := _too_long(plain, route)) is not None:
                found.append(Violation("distance limit", message, route=k))
        return found

    def loosened(self, instance: TensorDict, routes: Sequence[Route]) -> TensorDict:
        plain = InstanceView(instance)
        lengths = [_length(plain, route) / plain.length_steps for route in routes]
        return at_least(instance, "distance_limit", routes, lengths)

    def refuses(self, plain: InstanceView, route: Route) -> Violation | None:
        if (message := _too_long(plain, route)) is None:
            return None
        return Violation("distance limit", f"to node {route.visits[-1]} and back: {message}")


def _length(plain: InstanceView, route: Route) -> float:
    """The length of a route in steps, summed up in the order driven."""
    length = 0.0
    for distance in plain.lengths(stops_of(route)):
        length += distance
    return length


def _too_long(plain: InstanceView, route: Route) -> str | None:
    """What is wrong with the length of a route, if anything is."""
    length = _length(plain, route)
    limit = plain.of_vehicle("distance_limit", route.vehicle)
    if length > whole(limit * plain.length_steps):
        return f"length {length / plain.length_steps:.10g}, limit {limit:.10g}"
    return None
