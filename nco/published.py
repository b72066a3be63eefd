"""Published solutions, as the checker takes them."""

from pathlib import Path

from nco.data.formats import FileInstance, read_driven
from nco.envs.routes import Route


def read_routes(path: Path, file: FileInstance) -> tuple[Route, ...]:
    """
    The routes of a ``.sol`` file of a problem with a depot; empty ones are left out.

    Parameters
    ----------
    path
        The solution.
    file
        The instance that it solves.

    Raises
    ------
    InputError
        See `nco.data.formats.read_driven`.
    """
    stays = "open_route" in file.instance.keys() and bool(file.instance["open_route"])
    return tuple(
        Route(visits, vehicle, None if stays else vehicle, vehicle)
        for vehicle, visits in read_driven(path, file)
    )
