"""How good and how fast a policy is on many instances."""

import time
from collections.abc import Callable
from dataclasses import dataclass

import torch
from tensordict import TensorDict
from torch import Tensor

from nco.data.errors import InputError
from nco.data.instance import num_nodes
from nco.data.seeding import seeded
from nco.decoding import Augment, Beam, MultiStart, Search, Single
from nco.envs import Route, RoutingEnv
from nco.policies import Policy

SCORES = 4_000_000  # (instance, rollout, node) triples that are decoded at once
PAIRS = 8_000_000  # (instance, node, node) triples that are encoded at once
MODEST = 500_000_000  # bytes that this many take
CHECKED = 1000  # instances that are looked at at once before they are solved


@dataclass(frozen=True)
class Evaluation:
    """
    Checked costs of a policy's solutions.

    Parameters
    ----------
    costs
        Of the best solution of each instance ``[B]``, in double precision; recomputed from the
        routes.
    infeasible
        Rows whose solution the independent checker refuses, with the reason.
    seconds
        Wall time of encoding and decoding.
    """

    costs: Tensor
    infeasible: dict[int, str]
    seconds: float


def refuse_impossible(env: RoutingEnv, instances: TensorDict, source: str) -> None:
    """
    Finds out before any decoding whether every instance ``[B]`` has a solution.

    The rules look, one by one, at the instances in which some customer may not come first.

    Parameters
    ----------
    env, instances
        The problem and its instances.
    source
        Where they are from, for the message.

    Raises
    ------
    InputError
        One has none; the message names it, the rule and the node.
    """
    for begin in range(0, len(instances), CHECKED):
        batch = instances[begin : begin + CHECKED]
        first = env.mask(env.reset(batch)).squeeze(1)[:, -env.num_customers(batch) :]
        for row in (~first.all(-1)).nonzero().flatten().tolist():
            reasons = env.impossible(batch[row : row + 1])
            if reasons:
                found = f"{reasons[0].rule}: {reasons[0].message}"
                raise InputError(f"{source}: instance {begin + row}: no solution exists: {found}")


def evaluate_policy(
    env: RoutingEnv,
    policy: Policy,
    instances: TensorDict,
    search: Search,
    batch_size: int | None = None,
    seed: int = 0,
    device: torch.device | str = "cpu",
    progress: Callable[[int], None] = lambda done: None,
    half: bool = False,
) -> Evaluation:
    """
    Solves many instances in batches.

    Parameters
    ----------
    env, policy
        The problem, and the network in evaluation mode.
    instances
        ``[B]``.
    search
        How to decode.
    batch_size
        Instances at once; by default as many as fit in the memory of the device.
    seed
        Seed of sampling; each batch has a stream of its own.
    device
        Where to decode.
    progress
        Called with the number of solved instances after each batch.
    half
        Whether the network computes in bfloat16; costs are exact in any case.
    """
    decode = (env, policy, instances, search, batch_size, seed, device, progress, half)
    routes, seconds = decode_batches(*decode)
    costs = torch.empty(len(instances), dtype=torch.float64)
    infeasible: dict[int, str] = {}
    for row, found in enumerate(routes):
        instance = instances[row : row + 1].cpu()
        violations = env.check(instance, found)
        if violations:
            infeasible[row] = violations[0].message
        costs[row] = env.routes_cost(instance, found)
    return Evaluation(costs, infeasible, seconds)


def decode_batches(
    env: RoutingEnv,
    policy: Policy,
    instances: TensorDict,
    search: Search,
    batch_size: int | None = None,
    seed: int = 0,
    device: torch.device | str = "cpu",
    progress: Callable[[int], None] = lambda done: None,
    half: bool = False,
) -> tuple[list[tuple[Route, ...]], float]:
    """The best routes of each instance, and the seconds it took: see `evaluate_policy`."""
    size = batch_size or safe_batch_size(env, instances, search, device)
    size = max(1, min(size, len(instances)))
    policy = policy.to(device)
    kind = torch.device(device).type
    routes: list[tuple[Route, ...]] = []
    seconds, draws = 0.0, 0
    while len(routes) < len(instances):
        batch = instances[len(routes) : len(routes) + size]
        rng = seeded(seed, draws, device=device)
        started = time.perf_counter()
        try:
            with torch.autocast(kind, torch.bfloat16, enabled=half):
                actions = search(env, policy, batch.to(device), rng).best()[0].tolist()
        except torch.OutOfMemoryError:
            if size == 1 or batch_size is not None:
                raise InputError(
                    f"{device}: not enough memory for {size} instances at once, expected a smaller "
                    f"batch, fewer samples or views"
                ) from None
            size = max(1, size // 2)
            torch.cuda.empty_cache()
            continue
        seconds += time.perf_counter() - started
        draws += 1
        plain = batch.cpu()
        routes += [env.visits.routes(plain[k : k + 1], row) for k, row in enumerate(actions)]
        progress(len(routes))
    return routes, seconds


def safe_batch_size(
    env: RoutingEnv, instances: TensorDict, search: Search, device: torch.device | str = "cpu"
) -> int:
    """
    Instances that can be decoded at once: within some hundreds of megabytes on a CPU, whose caches
    gain nothing by more, and within half of the free memory of an accelerator.
    """
    nodes = num_nodes(instances)
    rollouts, views = _rollouts(search, env.num_customers(instances)), _views(search)
    share = 1.0
    if torch.device(device).type == "cuda":
        share = max(1.0, torch.cuda.mem_get_info(device)[0] / 2 / MODEST)
    most = min(SCORES / (rollouts * nodes), PAIRS / (views * nodes * nodes))
    return max(1, int(share * most))


def _rollouts(search: Search, customers: int) -> int:
    """Rollouts of one instance."""
    match search:
        case Augment():
            return search.views * _rollouts(search.search, customers)
        case Single():
            return search.samples
        case Beam():
            return search.width + 1
        case MultiStart():
            return search.starts or customers
    return customers  # of a search that is new here, a guess


def _views(search: Search) -> int:
    return search.views if isinstance(search, Augment) else 1
