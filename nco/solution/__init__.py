"""What every solver returns: checked routes with their cost, and ``.sol`` files of them."""

from nco.solution.files import numbered, read_routes, write_routes
from nco.solution.solution import Solution, judge

__all__ = ["Solution", "judge", "numbered", "read_routes", "write_routes"]
