"""What a user gives, as problem and instance: files, arrays, names."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from os import PathLike
from pathlib import Path

from tensordict import TensorDict

from nco.data.errors import InputError
from nco.data.formats import FileInstance, read
from nco.data.instance import validate
from nco.envs import Route, RoutingEnv
from nco.envs.problems.stated import problem_of
from nco.solution import Solution, judge, read_routes
from nco.solution.files import first_number

Instance = str | PathLike[str] | FileInstance | TensorDict
Routes = Sequence[Route | Sequence[int]]


@dataclass(frozen=True)
class Case:
    """
    One instance (batch size 1) with its problem.

    Parameters
    ----------
    env, instance
        The problem and the instance.
    file
        The instance as its file states it, if it is from one.
    """

    env: RoutingEnv
    instance: TensorDict
    file: FileInstance | None = None

    def routes(self, given: Routes | Solution | str | PathLike[str]) -> list[Route]:
        """
        Routes of the instance: of a solution, of a ``.sol`` file, or customers by number.

        Raises
        ------
        InputError
            They are none, see `Visits.as_routes` and `read_routes`.
        """
        if isinstance(given, Solution):
            return list(given.vehicle_routes)
        if isinstance(given, str | PathLike):
            if self.file is None:
                raise InputError(f"{given}: its numbers are those of a file, expected lists")
            return list(read_routes(Path(given), self.file))
        if self.file is not None and (shift := first_number(self.env, self.file)):
            depots = self.env.visits.depots(self.instance)
            given = [
                route
                if isinstance(route, Route)
                else [node if depots and node < depots - shift else node - shift for node in route]
                for route in given
            ]
        return self.env.visits.as_routes(self.instance, given)

    def judge(self, routes: Sequence[Route], solver: str) -> Solution:
        """The checked solution that the routes are."""
        return judge(self.env, self.instance, routes, 0.0, solver).of(self.file)


def cases(given: Instance, name: str | RoutingEnv | None = None) -> Iterator[Case]:
    """
    The instances that a user gives, each with its problem.

    Parameters
    ----------
    given
        The path of a file, what `read` made of one, or an instance or a batch ``[B]``.
    name
        Problem; by default what a file states, or the rules of the attributes of an instance.

    Raises
    ------
    InputError
        There is no such file or problem, or the instance says what the problem has no rule for.
    """
    if isinstance(given, str | PathLike):
        given = read(Path(given))
    if isinstance(given, FileInstance):
        yield Case(problem_of(given.instance, name or given.problem), given.instance, given)
        return
    if not isinstance(given, TensorDict):
        found = type(given).__name__
        raise InputError(f"instance: {found}, expected a path, make_instance(...) or read(...)")
    validate(given)
    env = problem_of(given, name)
    for row in range(len(given)):
        yield Case(env, given[row : row + 1])
