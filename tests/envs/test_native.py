"""Steps and masks by the CPU kernels against plain PyTorch."""

import pytest
import torch
from torch import Tensor

from nco.data.seeding import seeded
from nco.envs import PROBLEMS, State, native, problem

pytestmark = pytest.mark.skipif(native.library() is None, reason="no C++ compiler here")


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
    monkeypatch.setattr(native, "library", lambda: None)
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
