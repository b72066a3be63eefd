"""
Cities: places with the lengths and times of the ways between them, as road networks have them.

The layout is that of RRNCO's data (Son et al. 2026): ``CITY/CITY_data.npz`` with ``points [P, 2]``
(latitude, longitude), ``distance [P, P]`` in kilometres and ``duration [P, P]`` in minutes, row =
from, column = to; ``splited_cities_list.json`` beside the folders names the cities for training
and for testing.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

from torch import Tensor

from nco.data.archive import Archive, read_archive, write_archive
from nco.data.atomic import atomic
from nco.data.errors import InputError
from nco.data.limits import read_bytes

Split = Literal["train", "test", "all"]
SPLITS: tuple[Split, ...] = get_args(Split)
SPLIT_FILE = "splited_cities_list.json"
SUFFIX = "_data.npz"


@dataclass(frozen=True)
class City:
    """
    A city.

    Parameters
    ----------
    name
        What it is called.
    points
        Latitude and longitude of places, ``[P, 2]``.
    distance, duration
        Lengths in kilometres and times in minutes of the ways, ``[P, P]``, row = from.
    """

    name: str
    points: Tensor
    distance: Tensor
    duration: Tensor


def read_city(path: Path | str) -> City:
    """
    Reads the file of a city, in single precision.

    Raises
    ------
    InputError
        The file is missing or broken, lacks an array, or has one of the wrong shape, or ways that
        do not exist or have a negative length.
    """
    path = Path(path)
    arrays = read_archive(path).tensors
    found: dict[str, Tensor] = {}
    for name in ("points", "distance", "duration"):
        if name not in arrays:
            raise InputError(f"{path}: no array {name}, expected points, distance and duration")
        found[name] = arrays[name].float()
    count = len(found["points"]) if found["points"].ndim else 0
    shapes: dict[str, tuple[int, int]] = {
        "points": (count, 2),
        "distance": (count, count),
        "duration": (count, count),
    }
    for name, shape in shapes.items():
        if found[name].shape != shape or not count:
            raise InputError(f"{path}: {name}: shape {list(found[name].shape)}, expected {shape}")
        wrong = ~found[name].isfinite()
        if name != "points":
            wrong |= found[name] < 0
        if bool(wrong.any()):
            place = wrong.nonzero()[0].tolist()
            value = float(found[name][tuple(place)])
            raise InputError(f"{path}: {name}{place}: {value}, expected a number >= 0")
    for name in ("distance", "duration"):
        found[name].fill_diagonal_(0)
    return City(path.name.removesuffix(SUFFIX), **found)


def write_cities(folder: Path | str, cities: Sequence[City], test: Sequence[str] = ()) -> None:
    """
    Writes cities as a data set, each in a folder of its own, and which of them are for testing.

    Raises
    ------
    InputError
        A folder cannot be made or written to, or no city has the name of one for testing.
    """
    folder, names = Path(folder), [city.name for city in cities]
    for name in test:
        if name not in names:
            raise InputError(f"test: {name!r} is none of the cities, expected {', '.join(names)}")
    for city in cities:
        place = folder / city.name
        try:
            place.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise InputError(f"{place}: cannot be made, {error.strerror}") from error
        arrays = {
            "points": city.points,
            "distance": city.distance,
            "duration": city.duration,
        }
        write_archive(place / f"{city.name}{SUFFIX}", Archive(None, arrays))
    split = {"train": [name for name in names if name not in test], "test": list(test)}
    with atomic(folder / SPLIT_FILE) as part:
        part.write_text(json.dumps(split, ensure_ascii=False), encoding="utf-8")


def city_files(folder: Path | str, split: Split) -> list[Path]:
    """
    The files of the cities in a folder that are for training, or for testing, or all of them.

    Raises
    ------
    InputError
        The folder has no such cities, or does not say which are for what, or a city is for both.
    """
    folder = Path(folder)
    if split not in SPLITS:
        raise InputError(f"split: {split!r}, expected one of {', '.join(SPLITS)}")
    files = {path.name.removesuffix(SUFFIX): path for path in sorted(folder.glob(f"*/*{SUFFIX}"))}
    if split != "all":
        names = _split(folder / SPLIT_FILE)
        both = sorted(set(names["train"]) & set(names["test"]))
        if both:
            raise InputError(f"{folder / SPLIT_FILE}: {both[0]!r} is for training and for testing")
        files = {name: path for name, path in files.items() if name in names[split]}
    if not files:
        raise InputError(f"{folder}: no cities of the split {split!r}, expected */*{SUFFIX}")
    return list(files.values())


def _split(path: Path) -> dict[str, list[str]]:
    expected = "expected the lists of cities 'train' and 'test'"
    try:
        content = json.loads(read_bytes(path).decode("utf-8"))
    except InputError as error:
        raise InputError(f"{error}, {expected}") from None
    except (ValueError, RecursionError):
        raise InputError(f"{path}: no JSON, {expected}") from None
    for name in ("train", "test"):
        value = content.get(name) if isinstance(content, dict) else None
        if not isinstance(value, list) or not all(isinstance(city, str) for city in value):
            raise InputError(f"{path}: {expected}")
    return {name: content[name] for name in ("train", "test")}
