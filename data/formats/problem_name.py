"""The name of the problem whose rules are exactly those that an instance states."""

from tensordict import TensorDict

from nco.data.instance import num_depots
from nco.data.neutral import says_nothing
from nco.data.values import attributes


def routing_problem(instance: TensorDict, trips: bool = False) -> str:
    """
    The name of a routing problem with a depot, from the attributes of one instance.

    The letters are those of the variants in `nco.envs`: several depots, open routes, backhauls,
    limits of length, time windows. What goes beyond them has the name of its family: shipments from
    one customer to another (``pdp``), several trips (``mtvrp``), customers that not every vehicle
    may visit (``sdvrp`` with time windows; without, it would mean split deliveries, so ``hfvrp``),
    optional customers (``pcvrp``), fleets of several kinds (``hfvrp``), deliveries and pickups at
    the same customer (``vrpspd``), limits of the time that routes take (``dvrp``). What an instance
    says besides, a limited fleet or several of these, `nco.envs.problem` adds to the rules.

    Parameters
    ----------
    instance
        Of batch size 1.
    trips
        Whether vehicles may drive several routes.
    """
    stated = {name for name in attributes(instance) if not says_nothing(name, instance[name])}
    several = num_depots(instance) > 1 and len(instance["depots"].unique()) > 1
    prefix = ("md" if several else "") + ("o" if "open_route" in stated else "")
    windows = "tw" if "time_windows" in stated else ""
    tail = ("l" if "distance_limit" in stated else "") + windows
    released = "r" if "release_time" in stated else ""
    if "delivery" in stated:
        return f"{prefix}pdp{tail}"
    if trips or released:
        return f"{prefix}mtvrp{tail}{released}"
    if "allowed" in stated:
        return f"{prefix}sdvrp{tail}" if windows else f"{prefix}hfvrp{tail}"
    if "penalty" in instance.keys():  # of 0: nothing is lost with those left out
        return f"{prefix}pcvrp{tail}"
    if {"fixed_cost", "unit_cost"} & stated or instance["capacity"].ndim > 1:
        return f"{prefix}hfvrp{tail}"
    if "backhaul" in stated:
        if bool(((instance["demand"] > 0) & (instance["backhaul"] > 0)).any()):
            return f"{prefix}vrpspd{tail}"
        tail = ("b" if "linehaul_first" in stated else "mb") + tail
    elif "duration_limit" in stated and not windows:
        return f"{prefix}dvrp{tail}"
    return f"{prefix}vrp{tail}" if prefix.endswith("o") or tail else f"{prefix}cvrp"
