"""Best-known solutions are evidence: their routes are checked and their cost is computed."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from nco.data.errors import InputError
from nco.data.formats import FileInstance, read_solution
from nco.data.formats.solutions.best_known import tour_of
from nco.data.instance import num_nodes
from nco.data.numbers import plain
from nco.envs import RoutingEnv
from nco.envs.checking.routes import Route
from nco.evaluation.runs import stated
from nco.solution import Solution, judge
from nco.solution.files import read_routes


def check_best_known(
    env: RoutingEnv, file: FileInstance, warn: Callable[[str], None]
) -> FileInstance:
    """
    A file whose best-known cost is one that can be believed.

    Where a ``.sol`` file gives routes, their cost is the reference, whatever it states; routes that
    break a rule are none. A ``.sol`` file with a cost only is taken at its word.

    Parameters
    ----------
    env, file
        The problem and the file as it was read.
    warn
        Told of each contradiction, in one line.
    """
    source = file.best_known_source
    if source is None or not source.endswith(".sol"):
        return file
    path = Path(source)
    unknown = replace(file, best_known=None)
    try:
        lines, _ = read_solution(path)
        if not lines:
            return file
        found = judge(env, file.instance, _routes(path, env, file, lines), 0.0, "best known")
    except InputError as error:
        warn(f"best-known solution passed over: {error}")
        return unknown
    if not found.feasible:
        broken = found.violations[0]
        warn(f"{path}: the best-known solution breaks a rule, {broken.rule}: {broken.message}")
        return unknown
    cost = stated(env, found.cost)
    if cost is None:
        return unknown
    if file.best_known is None:
        return replace(file, best_known=float(cost))
    if abs(file.best_known - cost) <= _half_a_step(file):
        return file
    told, computed = plain(file.best_known), plain(round(cost, 6))
    warn(
        f"{path}: the best-known solution states {told}, its routes cost {computed}, which is used"
    )
    return replace(file, best_known=float(cost))


def _half_a_step(file: FileInstance) -> float:
    """What a cost may differ by, having been rounded to the decimals that the file gives it."""
    assert file.best_known is not None
    written = plain(round(file.best_known * file.cost_steps, 9))
    decimals = len(written.partition(".")[2]) if "e" not in written else 9
    return (0.5 * 10.0**-decimals + 1e-9 * abs(file.best_known)) / file.cost_steps + 1e-9


def _routes(
    path: Path, env: RoutingEnv, file: FileInstance, lines: list[list[int]]
) -> tuple[Route, ...]:
    if num_nodes(file.instance) > env.num_customers(file.instance):
        return read_routes(path, file)
    return (Route(tuple(tour_of(path, lines, num_nodes(file.instance))), None, None),)


def read_start(env: RoutingEnv, file: FileInstance, path: Path) -> Solution:
    """
    The routes of a ``.sol`` file to begin with.

    Raises
    ------
    InputError
        The file has none, or they break a rule.
    """
    lines, _ = read_solution(path)
    if not lines:
        raise InputError(f"{path}: no routes, expected lines like 'Route #1: 4 2 7'")
    found = judge(env, file.instance, _routes(path, env, file, lines), 0.0, str(path))
    if not found.feasible:
        broken = found.violations[0]
        raise InputError(f"{path}: no start, {broken.rule}: {broken.message}")
    return found
