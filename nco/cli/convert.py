"""``nco convert``: an instance from one format to another."""

from pathlib import Path

from nco.cli import BAD_INPUT, DONE, complain
from nco.cli.arguments import Count
from nco.cli.choices import Rounding


def convert(
    source: str,
    target: Path,
    rounding: Rounding = "auto",
    capacity: Count | None = None,
    vehicles: Count | None = None,
) -> int:
    """
    Writes an instance in another format, as its ending says.

    What the format has no place for is an error that names it, and the file is not written; names
    that are lost are told.

    Parameters
    ----------
    source
        An instance, or - for standard input.
    target
        The file to write (.vrp, .tsp, .csv, .vroom.json, .json).
    rounding
        What Euclidean distances mean: auto goes by the file and its set.
    capacity
        Load that a vehicle can carry, for tables that do not state it.
    vehicles
        How many vehicles there are, for tables that do not state it.
    """
    from nco.cli.files import read_all
    from nco.cli.output import require_writable
    from nco.data.formats.conversion import convert as write_as

    def tell(message: Exception | str) -> None:
        complain("nco convert", message)

    require_writable(target)
    stated = {"capacity": capacity, "vehicles": vehicles}
    given = {name: str(value) for name, value in stated.items() if value is not None}
    files, bad = read_all([source], rounding, tell, given)
    if bad or len(files) != 1:
        if not bad:
            tell(f"{source}: {len(files)} instances, expected one")
        return BAD_INPUT
    for lost in write_as(files[0], target):
        tell(f"warning: {target}: {lost} are lost")
    return DONE
