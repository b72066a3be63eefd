"""Files that state instances and solutions, in the formats that people already have."""

from nco.data.formats.driven import read_driven
from nco.data.formats.file_instance import FileInstance
from nco.data.formats.registry import FORMATS, Format, read, suffixes, write
from nco.data.formats.rounding import Rounding
from nco.data.formats.solution import read_solution, write_solution
from nco.data.formats.tour import read_tour, write_tour

__all__ = [
    "FORMATS",
    "FileInstance",
    "Format",
    "Rounding",
    "read",
    "read_driven",
    "read_solution",
    "read_tour",
    "suffixes",
    "write",
    "write_solution",
    "write_tour",
]
