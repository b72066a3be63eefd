"""Files that state instances and solutions, in the formats that people already have."""

from nco.data.formats.file_instance import FileInstance
from nco.data.formats.registry import FORMATS, Format, read, suffixes, write
from nco.data.formats.rounding import Rounding
from nco.data.formats.solutions.sol import read_solution, write_solution
from nco.data.formats.solutions.tour import read_tour, write_tour
from nco.data.formats.solutions.vehicle_routes import read_vehicle_routes

__all__ = [
    "FORMATS",
    "FileInstance",
    "Format",
    "Rounding",
    "read",
    "read_solution",
    "read_tour",
    "read_vehicle_routes",
    "suffixes",
    "write",
    "write_solution",
    "write_tour",
]
