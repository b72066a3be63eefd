"""
The instance: a batch of routing problems in raw units.

An instance is a ``TensorDict`` of batch size ``[B]``. Absent attributes are absent keys, or neutral
values where a batch mixes variants (`Field.neutral`). Demands, capacities and other counts are
integers (int64), flags are bool or integers, so that masks and checks compare exactly; coordinates,
times and distances are floating point (float32 when drawn for training, float64 when read from a
file). What a policy sees is normalised elsewhere (``nco.envs``), never here.

Nodes are ordered depots first. Where there are several depots or kinds of vehicles, every pair of
a depot and a kind of vehicle is a *depot node* of its own: V of them open the node order, some of
them perhaps at the same place. To move to depot node ``v`` is to start a route there with a vehicle
of that kind, and the route ends where it began. What belongs to a vehicle has shape ``[B, V]``, and
the time window of a depot node is the shift of its vehicles. Without ``depots`` there is one depot,
node 0. A vehicle that may drive several routes one after the other (reloads, trips) is a depot node
of its own.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from tensordict import TensorDict
from torch import Tensor

from nco.data.errors import InputError
from nco.data.numbers import MAX_INTEGER
from nco.data.registry import Registry

Role = Literal["geometry", "vehicle", "load", "time", "reward", "rule"]


@dataclass(frozen=True)
class Field:
    """
    One attribute of the schema.

    Lists of attributes follow from what is stated here, see `attributes_where`.

    Parameters
    ----------
    shape
        Dimensions after the batch: ``N`` nodes, ``V`` depot nodes, ``2`` a literal size.
    integer
        Whether the attribute counts something (int64, or bool for a flag) or measures something
        (floating point).
    meaning
        What it says, with its unit.
    neutral
        The value that says nothing, by which a batch may mix instances with and without the
        attribute; None where there is none.
    per_vehicle
        Whether it may also differ from vehicle to vehicle, with shape ``V``.
    role
        What it is about: ``geometry`` (places, lengths, travel times), the ``vehicle``, the
        ``load``, the ``time``, a ``reward`` or price, or a ``rule`` of another kind.
    signed
        Whether it may be negative.
    whole
        Whether its values are nodes or bounds of the whole instance, and have no meaning in a part
        of it.
    detail
        Whether it says nothing by itself, but only to rules about other attributes.
    variant
        Whether it tells the variants apart that batches mix (Berto et al. 2025, RouteFinder).
    vroom
        The key of vehicles in VROOM's JSON that states it, where that is the same number.
    """

    shape: tuple[str, ...]
    integer: bool
    meaning: str
    neutral: float | tuple[float, ...] | None = None
    per_vehicle: bool = False
    role: Role = "rule"
    signed: bool = False
    whole: bool = False
    detail: bool = False
    variant: bool = False
    vroom: str | None = None


INF = float("inf")
MANY = MAX_INTEGER

_FIELDS: dict[str, Field] = {
    "locs": Field(
        ("N", "2"), False, "coordinates, in the file's unit", role="geometry", signed=True
    ),
    "view": Field(
        ("N", "2"),
        False,
        "coordinates that an augmentation shows, unit square",
        role="geometry",
        signed=True,
        whole=True,
    ),
    "metric": Field(
        (), True, "a value of nco.data.metric.Metric; absent means Euclidean", 0, role="geometry"
    ),
    "distance": Field(
        ("N", "N"), False, "explicit distances, row = from, column = to", role="geometry"
    ),
    "duration": Field(
        ("N", "N"),
        False,
        "explicit travel times, row = from, column = to; absent: the distances",
        role="geometry",
    ),
    # Depots and vehicles.
    "depots": Field(
        ("V",),
        True,
        "place of each depot node: an arbitrary number, equal at the same depot",
        0,
        role="vehicle",
    ),
    "vehicle_count": Field(
        ("V",),
        True,
        "routes that may leave from a depot node at most (all its trips one)",
        MANY,
        role="vehicle",
    ),
    "trips": Field(
        (),
        True,
        "flag: the routes of a depot node are trips of one vehicle, one after the other",
        0,
        role="vehicle",
    ),
    "min_routes": Field(
        (), True, "routes that have to be driven at least", 0, role="vehicle", whole=True
    ),
    "fixed_cost": Field(
        ("V",), False, "cost of each route (with trips: of each vehicle used)", 0, role="vehicle"
    ),
    "unit_cost": Field(("V",), False, "cost of a unit of distance", 1, role="vehicle"),
    "speed": Field(
        ("V",), False, "what travel times are divided by", 1, role="vehicle", detail=True
    ),
    "allowed": Field(
        ("V", "N"), True, "flag: may the vehicle visit the node (zones, skills)", 1, role="vehicle"
    ),
    "preference": Field(
        ("V", "N"),
        False,
        "how welcome the vehicle is at the node; more is better",
        0,
        role="reward",
        signed=True,
    ),
    # Loads.
    "demand": Field(("N",), True, "amount to deliver from the depot; 0 at a depot", 0, role="load"),
    "backhaul": Field(
        ("N",),
        True,
        "amount to pick up for the depot; 0 at a depot",
        0,
        role="load",
        variant=True,
    ),
    "linehaul_first": Field(
        (), True, "flag: on a route, no delivery after a pickup", 0, role="load", variant=True
    ),
    "one_commodity": Field(
        (),
        True,
        "flag: what was picked up may be delivered, and vehicles leave with any load",
        0,
        role="load",
    ),
    "split": Field(
        (), True, "flag: a customer may be served by several routes, in parts", 0, role="load"
    ),
    "capacity": Field(
        (), True, "load that a vehicle can carry", MANY, per_vehicle=True, role="load"
    ),
    "delivery": Field(
        ("N",),
        True,
        "node to which the shipment picked up here goes; 0 where there is none",
        0,
        role="load",
        whole=True,
    ),
    "shipment": Field(
        ("N",), True, "amount of the shipment picked up here", 0, role="load", whole=True
    ),
    # Lengths and times.
    "distance_limit": Field(
        (),
        False,
        "length that a route may have, depot to depot",
        INF,
        per_vehicle=True,
        role="time",
        variant=True,
    ),
    "duration_limit": Field(
        (),
        False,
        "time that a route may take, from leaving the depot to the return, waiting included",
        INF,
        per_vehicle=True,
        role="time",
    ),
    "time_windows": Field(
        ("N", "2"),
        False,
        "first and last moment at which service may begin (one may wait for the first); "
        "at a depot, of leaving and of the return",
        (0, INF),
        role="time",
        variant=True,
    ),
    "open_route": Field(
        (), True, "flag: routes end at their last customer", 0, role="vehicle", variant=True
    ),
    "service_time": Field(
        ("N",), False, "time that a visit takes; 0 at a depot", 0, role="time", detail=True
    ),
    "release_time": Field(
        ("N",),
        False,
        "moment before which no route with this node may leave the depot",
        0,
        role="time",
    ),
    # What is optional.
    "prize": Field(
        ("N",), False, "worth of a visit, as known beforehand; 0 at a depot", 0, role="reward"
    ),
    "stochastic_prize": Field(
        ("N",),
        False,
        "worth of a visit, as only the visit shows it",
        0,
        role="reward",
    ),
    "min_prize": Field(
        (), False, "prize to collect before the tour may end", 0, role="reward", whole=True
    ),
    "penalty": Field(("N",), False, "cost of leaving a node out; 0 at a depot", 0, role="reward"),
}


SCHEMA: Registry[str, Field] = Registry("attribute", _FIELDS)


def attributes_where(chosen: Callable[[Field], bool]) -> tuple[str, ...]:
    """Attributes of the schema by what their fields state, in its order."""
    return tuple(name for name, field in SCHEMA.items() if chosen(field))


def from_tensors(**fields: Tensor) -> TensorDict:
    """
    A batch of instances of tensors that have the shapes and kinds of the schema.

    For generators and readers; values are not looked at.

    Raises
    ------
    InputError
        See `validate`.
    """
    first = next(iter(fields.values()), None)
    if first is None:
        raise InputError("an instance needs at least one attribute, found none")
    instance = TensorDict(fields, batch_size=[first.shape[0]])
    validate(instance)
    return instance


def validate(instance: TensorDict) -> None:
    """
    Checks names, shapes and kinds against the schema.

    Raises
    ------
    InputError
        An attribute is unknown, or its shape or kind (integer or floating point) is wrong.
    """
    sizes: dict[str, int] = {}
    for name, value in instance.items():
        if name not in SCHEMA:
            raise InputError(f"{name}: unknown attribute, expected one of {', '.join(SCHEMA)}")
        field = SCHEMA[name]
        shape = ("V",) if field.per_vehicle and value.ndim == 2 else field.shape
        if value.ndim != 1 + len(shape):
            expected = ", ".join(("B", *shape))
            raise InputError(f"{name}: shape {list(value.shape)}, expected [{expected}]")
        for symbol, size in zip(shape, value.shape[1:], strict=True):
            expected_size = int(symbol) if symbol.isdigit() else sizes.setdefault(symbol, size)
            if size != expected_size:
                raise InputError(f"{name}: size {size} along {symbol}, expected {expected_size}")
        if field.integer != (not value.is_floating_point()):
            kind = "integers" if field.integer else "floating point numbers"
            raise InputError(f"{name}: {value.dtype}, expected {kind}")
    vehicles = sizes.get("V", 1)
    if vehicles != 1 and "depots" not in instance.keys():
        raise InputError(f"depots: absent, expected one of each of the {vehicles} depot nodes")
    if "V" in sizes and vehicles > sizes.get("N", vehicles):
        raise InputError(f"depots: {vehicles} depot nodes of {sizes['N']} nodes, expected fewer")


def num_nodes(instance: TensorDict) -> int:
    """Number of nodes N, depots included, from the coordinates or the distance matrix."""
    return instance["locs" if "locs" in instance.keys() else "distance"].shape[1]


def num_depots(instance: TensorDict) -> int:
    """Number of depot nodes V: those of ``depots``, one where it is absent."""
    return instance["depots"].shape[1] if "depots" in instance.keys() else 1
