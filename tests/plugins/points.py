"""A file of points, one a line with its demand: a format from outside."""

import torch

from nco.data.errors import InputError
from nco.data.formats import FileInstance, Format
from nco.data.instance import from_tensors
from nco.plugins import register


def read(text, path, rounding):
    """First the capacity, then ``x y demand`` of the depot and of each customer."""
    capacity, *lines = text.splitlines()
    rows = [line.split() for line in lines]
    if any(len(row) != 3 for row in rows):
        raise InputError(f"{path}: expected x, y and demand in each line")
    instance = from_tensors(
        locs=torch.tensor([[[float(x), float(y)] for x, y, _ in rows]], dtype=torch.double),
        demand=torch.tensor([[int(demand) for *_, demand in rows]]),
        capacity=torch.tensor([int(capacity)]),
    )
    return FileInstance(path.stem, "cvrp", instance, path)


def write(path, file):
    """The inverse of `read`."""
    locs, demand = file.instance["locs"][0].tolist(), file.instance["demand"][0].tolist()
    lines = [f"{x} {y} {d}" for (x, y), d in zip(locs, demand, strict=True)]
    path.write_text("\n".join([str(int(file.instance["capacity"][0])), *lines, ""]))


register.format(Format("points", (".points",), lambda text: True, read, write))
