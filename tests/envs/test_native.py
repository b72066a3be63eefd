"""Steps and masks by the CPU kernels against plain PyTorch."""

import pytest
import torch
from torch import Tensor

from nco.data.seeding import seeded
from nco.envs import PROBLEMS, State, native, problem
from tests.kernels import every_build, without_kernels

pytestmark = every_build


def drive(name: str, size: int, given: list[Tensor] | None = None) -> tuple[list[Tensor], list]:
    """Random rollouts, or the given ones: every mask, and every state."""
    env, rng = problem(name), seeded(2)
    instance = PROBLEMS[name].generator(size)(5, seeded(1))
    state, masks, states = env.reset(instance, 7), [], []
    actions = iter(given or [])
    while not env.done(state).all():
        masks.append(env.mask(state))
        weights = masks[-1].float().flatten(0, 1)
        action = weights.multinomial(1, generator=rng).view(state.current.shape)
        state = env.step(state, action if given is None else next(actions))
        states.append(state)
    return masks, states


def everything(state: State) -> dict[str, Tensor]:
    found = {"visited": state.visited, "current": state.current, **state.parts}
    return found | ({} if state.count is None else {"count": state.count})


@pytest.mark.parametrize(
    "name", ["cvrp", "vrptw", "ovrptw", "mdvrptw", "tsp", "tsptw", "mtvrptw", "vrpbltw"]
)
def test_kernels_do_what_pytorch_does(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every mask is the same, and so is every number of the state, to the last bit."""
    masks, states = drive(name, 19)
    without_kernels(monkeypatch)
    plain_masks, plain_states = drive(name, 19, [state.current for state in states])
    assert len(masks) == len(plain_masks)
    assert all(map(torch.equal, masks, plain_masks))
    for mine, plain in zip(states, plain_states, strict=True):
        ours, theirs = everything(mine), everything(plain)
        assert ours.keys() == theirs.keys()
        assert all(torch.equal(ours[key], theirs[key]) for key in ours)


def test_tensors_that_are_not_contiguous_are_left_to_pytorch() -> None:
    """A kernel reads memory in order, so that what lies otherwise does not fit."""
    square = torch.zeros(3, 3)
    assert native.fits(square)
    assert not native.fits(square[:, ::2])


@pytest.mark.parametrize("node", [-1, 3, 2**40])
def test_a_node_that_there_is_not_is_an_error(node: int) -> None:
    """No kernel reads or writes where a number from elsewhere points to."""
    visited, count = torch.zeros(1, 2, 3, dtype=torch.bool), torch.zeros(1, 2, dtype=torch.long)
    nodes = torch.tensor([[1, node]])
    demand = torch.ones(1, 3, dtype=torch.long)
    time, travel = torch.zeros(1, 2).double(), torch.ones(1, 3, 3).double()
    with pytest.raises(IndexError):
        native.visit(visited, count, nodes)
    with pytest.raises(IndexError):
        native.loaded(count, demand, nodes, 1)
    with pytest.raises(IndexError):
        native.in_time(time, nodes, torch.zeros_like(nodes), travel, travel[:, :1].contiguous())
    for current, target in ((nodes, count), (count, nodes)):
        with pytest.raises(IndexError):
            native.ready(time, current, target, travel, travel[:, 0].contiguous(), None, 1)
