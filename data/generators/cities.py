"""Instances on real road networks: places of a city, with the ways between them."""

import math
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path

import torch
from tensordict import TensorDict
from torch import Tensor

from nco.data.cities import City, Split, city_files, read_city
from nco.data.errors import InputError
from nco.data.generators.attributes import Attribute
from nco.data.generators.base import InstanceGenerator
from nco.data.generators.streets import StreetPlan, draw_city
from nco.data.instance import validate
from nco.data.seeding import seeded

# What is measured like distances, and like times.
LENGTHS = ("distance_limit", "penalty", "fixed_cost")
TIMES = ("duration_limit", "time_windows", "service_time", "release_time")


class CityGenerator(InstanceGenerator):
    """
    Instances that are sub-samples of cities (RRNCO; Son et al. 2026).

    Each instance has distinct places of one city, all of them equally likely: coordinates in
    degrees, ``distance`` in kilometres and ``duration`` in minutes. Other attributes are drawn as
    they are for the unit square, in units in which the longest way and the longest time of the
    instance are its diagonal, and then stated in kilometres and minutes.

    Parameters
    ----------
    size
        Number of customers (for ``depots`` 0: of nodes), or an inclusive range of it.
    folder
        Cities as `nco.data.cities` reads them; None for synthetic ones.
    split
        Which of the cities: those for training, for testing, or all.
    attributes
        What the instances have besides the ways.
    depots
        Number of depot nodes; 0 for tours without depot (ATSP).
    synthetic
        Number of synthetic cities where there is no folder. Those for testing are others than
        those for training.
    plan
        How the synthetic cities are built; by default large enough for the instances.

    Raises
    ------
    InputError
        There are no cities or none that has as many places as instances have nodes.
    """

    def __init__(
        self,
        size: int | tuple[int, int] = 50,
        folder: Path | str | None = None,
        split: Split = "train",
        attributes: Sequence[Attribute] = (),
        depots: int = 1,
        synthetic: int = 4,
        plan: StreetPlan | None = None,
    ):
        super().__init__(size)
        if depots < 0:
            raise InputError(f"depots: {depots}, expected at least 0")
        if synthetic < 1:
            raise InputError(f"synthetic: {synthetic}, expected at least 1")
        self.files = None if folder is None else city_files(folder, split)
        self.split, self.attributes, self.depots = split, tuple(attributes), depots
        self.synthetic, self.plan = synthetic, plan

    @cached_property
    def cities(self) -> list[City]:
        """The cities, in memory from the first instance on."""
        if self.files is not None:
            return [read_city(path) for path in self.files]
        count = max(4 * (self.depots + self.size[1]), 200)
        plan = self.plan or StreetPlan(blocks=max(32, math.ceil((1.5 * count) ** 0.5)))
        return [synthetic_city(k, self.split, count, plan) for k in range(self.synthetic)]

    def generate(self, batch_size: int, size: int, rng: torch.Generator) -> TensorDict:
        nodes = self.depots + size
        fitting = [city for city in self.cities if len(city.points) >= nodes]
        if not fitting:
            most = max(len(city.points) for city in self.cities)
            raise InputError(f"size: {size}, expected at most the {most} places of a city")
        which = torch.randint(len(fitting), (batch_size,), generator=rng, device=rng.device)
        points, distance, duration = _sampled(fitting, which.tolist(), nodes, rng)
        low, high = points.amin(1, keepdim=True), points.amax(1, keepdim=True)
        scales = {
            "locs": (high - low).amax((1, 2)),
            "distance": distance.amax((1, 2)) / 2**0.5,
            "duration": duration.amax((1, 2)) / 2**0.5,
        }
        scales = {name: torch.where(value > 0, value, 1) for name, value in scales.items()}
        given = {"locs": points - low, "distance": distance, "duration": duration}
        instance = TensorDict(
            {name: value / _wide(scales[name], value) for name, value in given.items()},
            batch_size=[batch_size],
        )
        if self.depots > 1:
            places = torch.arange(self.depots, device=rng.device)
            instance["depots"] = places.expand(batch_size, -1).clone()
        for attribute in self.attributes:
            instance.update(attribute(instance, rng))
        units = {"locs": "locs", **dict.fromkeys(("distance", *LENGTHS), "distance")}
        units |= dict.fromkeys(("duration", *TIMES), "duration")
        for name in units.keys() & set(instance.keys()):
            instance[name] = instance[name] * _wide(scales[units[name]], instance[name])
        instance["locs"] = instance["locs"] + low
        validate(instance)
        return instance


def synthetic_city(number: int, split: Split, points: int, plan: StreetPlan | None = None) -> City:
    """
    One of the synthetic cities, the same whenever it is asked for.

    Parameters
    ----------
    number
        Which of the split.
    split
        Cities for training and for testing differ; ``all`` has both in turn.
    points
        Number of places.
    plan
        How it is built.
    """
    if split == "all":
        number, split = number // 2, ("train", "test")[number % 2]  # type: ignore[assignment]
    seed = seeded(20260101, int(split == "test"), number)
    return draw_city(f"{split}-{number}", points, seed, plan)


def _sampled(
    cities: Sequence[City], which: Sequence[int], nodes: int, rng: torch.Generator
) -> tuple[Tensor, Tensor, Tensor]:
    """Points, distances and durations of random places of a city for each instance."""
    points, distance, duration = [], [], []
    for index in which:
        city = cities[index]
        draw = torch.rand(len(city.points), generator=rng, device=rng.device)
        places = draw.argsort()[:nodes].to(city.points.device)
        points.append(city.points[places])
        distance.append(city.distance[places][:, places])
        duration.append(city.duration[places][:, places])
    stacked = (torch.stack(value).to(rng.device) for value in (points, distance, duration))
    first, second, third = stacked
    return first, second, third


def _wide(scale: Tensor, value: Tensor) -> Tensor:
    """Scales ``[B]`` to multiply values ``[B, ...]`` with."""
    return scale.view(-1, *(1,) * (value.ndim - 1))
