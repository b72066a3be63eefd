"""Training data: streams that resume, ranks that differ, batches from labels."""

from collections import Counter
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from tensordict import TensorDict

from nco.data.errors import InputError
from nco.data.generators import CVRPGenerator, TSPGenerator
from nco.training import Generated, Solved, Stream
from tests.nco.training.solved import write_routes, write_tours


def numbers(rng: torch.Generator) -> TensorDict:
    return TensorDict({"x": torch.rand(2, 3, generator=rng)}, batch_size=[2])


def drawn(stream: Stream, epochs: int) -> list[list[float]]:
    """All batches of some epochs."""
    return [batch["x"].flatten().tolist() for _ in range(epochs) for batch in stream]


def test_streams_are_cut_into_epochs_and_never_repeat() -> None:
    """An epoch has as many batches as it says, and no batch comes twice."""
    stream = Stream(numbers, batches=3, seed=1)
    batches = drawn(stream, 4)
    assert len(stream) == 3 and len(batches) == 12
    assert len({tuple(batch) for batch in batches}) == 12


@pytest.mark.parametrize("position", range(7))
def test_streams_resume_anywhere(position: int) -> None:
    """A stream that takes over where another stood hands out what the other would have, to the end
    of the epoch and beyond."""
    whole = drawn(Stream(numbers, 3, seed=1), 4)
    first = Stream(numbers, 3, seed=1)
    taken = 0
    while taken < position:
        for _ in first:
            taken += 1
            if taken == position:
                break
    second = Stream(numbers, 3, seed=1)
    second.load_state_dict(first.state_dict())
    assert second.state_dict() == {"position": position}
    rest_of_epoch = drawn(second, 1)
    assert len(rest_of_epoch) == 3 - position % 3
    assert rest_of_epoch + drawn(second, 1) == whole[position : position + len(rest_of_epoch) + 3]


def test_ranks_and_seeds_draw_different_batches() -> None:
    """Every rank and every seed has a stream of its own."""
    streams = [drawn(Stream(numbers, 4, seed, rank), 1) for seed in (1, 2) for rank in (0, 1)]
    assert len({tuple(batch) for batches in streams for batch in batches}) == 16


def module_of_rank(rank: int, **settings) -> Generated:
    module = Generated(CVRPGenerator((4, 6)), batch_size=5, batches=3, **settings)
    module.trainer = SimpleNamespace(global_rank=rank)
    return module


def test_generated_batches() -> None:
    """Batches are instances of one size each; ranks differ, validation is the same for all."""
    first, second = module_of_rank(0), module_of_rank(1)
    batches = [list(module.train_dataloader()) for module in (first, second)]
    assert all(batch.batch_size == (5,) for rank in batches for batch in rank)
    assert {batch["locs"].shape[1] for rank in batches for batch in rank} <= {5, 6, 7}
    locs = [batch["locs"] for rank in batches for batch in rank]
    assert len({tuple(x.flatten().tolist()) for x in locs}) == 6
    for mine, theirs in zip(first.val_dataloader(), second.val_dataloader(), strict=True):
        assert torch.equal(mine["locs"], theirs["locs"])


def test_validation_instances_are_counted() -> None:
    """As many as asked for, in batches of at most the given size, from their own generator."""
    module = module_of_rank(
        0, val_generator=TSPGenerator(9), val_count=10, val_batch_size=4, val_seed=1
    )
    for loader in (module.val_dataloader(), module.test_dataloader(), module.predict_dataloader()):
        assert [batch["locs"].shape for batch in loader] == [(4, 9, 2), (4, 9, 2), (2, 9, 2)]


def test_place_of_the_stream_is_in_the_state() -> None:
    """A new data module that loads the state of another goes on behind its last batch."""
    first = module_of_rank(0)
    assert first.state_dict() == {}
    stream = first.train_dataloader()
    for _ in range(2):
        list(stream)
    second = module_of_rank(0)
    second.load_state_dict(first.state_dict())
    expected, found = next(iter(stream)), next(iter(second.train_dataloader()))
    assert torch.equal(expected["locs"], found["locs"])


def test_solved_batches(tmp_path: Path) -> None:
    """Sizes come up in proportion to their labels, smaller instances in larger batches, and every
    instance with its own solution, of optimal cost."""
    write_tours(tmp_path / "a.npz", (5,) * 3 + (6,), seed=1)
    write_tours(tmp_path / "b.npz", (6,) * 2, seed=2)
    module = Solved([str(tmp_path / "*.npz")], batch_size=6, batches=200, reference_size=10)
    sizes = Counter()
    for batch in module.train_dataloader():
        nodes = batch["instance"]["locs"].shape[1]
        assert len(batch) == {5: 12, 6: 10}[nodes]
        assert batch["actions"].sort(-1).values.tolist() == [list(range(nodes))] * len(batch)
        sizes[nodes] += 1
    assert sizes[5] / 200 == pytest.approx(0.5, abs=0.12)


def test_solved_validation(tmp_path: Path) -> None:
    """Validation has the first labels of one size; without validation labels there is none."""
    path = str(write_routes(tmp_path / "a.npz", 5))
    module = Solved([path], val_labels=[path], val_size=5, val_count=3)
    (batch,) = module.val_dataloader()
    assert batch["instance"]["locs"].shape == (3, 5, 2) and len(batch["actions"]) == 3
    assert list(Solved([path]).val_dataloader()) == []


def test_unusable_labels_are_refused(tmp_path: Path) -> None:
    """Missing files and sizes are named in one line."""
    path = str(write_routes(tmp_path / "a.npz", 2))
    with pytest.raises(InputError, match=r"nowhere_\*.npz: no such file, expected labels"):
        Solved([str(tmp_path / "nowhere_*.npz")]).train_dataloader()
    module = Solved([path], val_labels=[path], val_size=50)
    with pytest.raises(InputError, match=r"val_size: no labels of 50 nodes, have \[5\]"):
        module.val_dataloader()
