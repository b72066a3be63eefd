"""Data for `nco fit`: batches drawn from a generator, or from solved instances."""

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import torch
from tensordict import TensorDict

from nco.data.errors import InputError
from nco.data.generators import InstanceGenerator
from nco.data.seeding import seeded
from nco.data.solved import Labels
from nco.training.stream import Fixed, StreamedData, at_least


class Generated(StreamedData):
    """
    Instances drawn afresh for every batch, as batched tensors.

    Parameters
    ----------
    generator
        Draws a batch of instances.
    batch_size
        Instances a batch.
    batches
        Training batches an epoch.
    val_generator
        Draws the validation instances, always the same ones; the training generator by default.
    val_count
        Validation instances.
    val_batch_size
        Validation instances decoded at once.
    seed
        Seed of the training stream; the validation set has ``val_seed``.
    """

    def __init__(
        self,
        generator: InstanceGenerator,
        batch_size: int = 512,
        batches: int = 2500,
        val_generator: InstanceGenerator | None = None,
        val_count: int = 1000,
        val_batch_size: int = 500,
        seed: int = 1234,
        val_seed: int = 4321,
    ):
        at_least(1, batch_size=batch_size, val_batch_size=val_batch_size)
        at_least(0, val_count=val_count)
        super().__init__(batches, seed)
        self.generator = generator
        self.batch_size = batch_size
        self.val_generator = val_generator or generator
        self.val_count = val_count
        self.val_batch_size = val_batch_size
        self.val_seed = val_seed

    def draw(self) -> Callable[[torch.Generator], TensorDict]:
        return lambda rng: self.generator(self.batch_size, rng)

    def val_dataloader(self) -> Fixed:
        return _drawn(self.val_generator, self.val_count, self.val_batch_size, self.val_seed)

    test_dataloader = val_dataloader
    predict_dataloader = val_dataloader


class Solved(StreamedData):
    """
    Solved instances, in batches of equal size: the size is drawn first, then the instances.

    Parameters
    ----------
    labels
        Files to learn from, see `nco.data.solved`; ``*`` is expanded.
    batch_size
        Instances a batch at ``reference_size`` nodes; smaller instances come in larger batches, so
        that every batch is about as much work.
    batches
        Training batches an epoch.
    val_labels
        Files to validate on, with the gap to their costs.
    val_size
        Nodes (depot included) of the instances to validate on.
    val_generator
        Draws the validation instances, always the same ones, where there are no labels for it.
    val_count
        Validation instances.
    val_batch_size
        Validation instances decoded at once.
    val_seed
        Seed of drawn validation instances.
    reference_size
        See ``batch_size``.
    attributes
        What every instance is to have, if only by a neutral value: what the rules read that some
        or all of the labels do not state.
    seed
        Seed of the training stream.
    """

    def __init__(
        self,
        labels: list[str],
        batch_size: int = 64,
        batches: int = 500,
        val_labels: list[str] | None = None,
        val_size: int = 51,
        val_generator: InstanceGenerator | None = None,
        val_count: int = 100,
        val_batch_size: int = 100,
        val_seed: int = 4321,
        reference_size: int = 100,
        attributes: Sequence[str] = (),
        seed: int = 1234,
    ):
        at_least(1, batch_size=batch_size, val_batch_size=val_batch_size)
        at_least(0, val_count=val_count)
        super().__init__(batches, seed)
        self.labels = labels
        self.batch_size = batch_size
        self.val_labels = val_labels
        self.val_size = val_size
        self.val_generator = val_generator
        self.val_count = val_count
        self.val_batch_size = val_batch_size
        self.val_seed = val_seed
        self.reference_size = reference_size
        self.attributes = tuple(attributes)

    def draw(self) -> Callable[[torch.Generator], TensorDict]:
        labels = Labels(_expand(self.labels), self.attributes)
        shapes = labels.shapes
        weight = torch.tensor([float(labels.count(*shape)) for shape in shapes])

        def batch(rng: torch.Generator) -> TensorDict:
            nodes, depots = shapes[int(weight.multinomial(1, generator=rng))]
            count = max(1, round(self.batch_size * self.reference_size / nodes))
            index = torch.randint(labels.count(nodes, depots), (count,), generator=rng)
            return _solved(labels, nodes, index, depots)

        return batch

    def val_dataloader(self) -> Fixed:
        if self.val_labels is None:
            if self.val_generator is None:
                return Fixed([])
            return _drawn(self.val_generator, self.val_count, self.val_batch_size, self.val_seed)
        labels = Labels(_expand(self.val_labels), self.attributes)
        if self.val_size not in labels.sizes:
            raise InputError(f"val_size: no labels of {self.val_size} nodes, have {labels.sizes}")
        rows = torch.arange(min(self.val_count, labels.count(self.val_size)))
        return Fixed([_solved(labels, self.val_size, r) for r in rows.split(self.val_batch_size)])

    test_dataloader = val_dataloader
    predict_dataloader = val_dataloader


def _solved(labels: Labels, nodes: int, index: torch.Tensor, depots: int = 1) -> TensorDict:
    instance, actions = labels.select(nodes, index, depots)
    return TensorDict({"instance": instance, "actions": actions}, batch_size=[len(index)])


def _drawn(generator: InstanceGenerator, count: int, batch_size: int, seed: int) -> Fixed:
    """Instances for validation, the same ones every time."""
    rng = seeded(seed)
    counts = [min(batch_size, count - begin) for begin in range(0, count, batch_size)]
    return Fixed([generator(part, rng) for part in counts])


def _expand(patterns: list[str]) -> list[Path]:
    def matches() -> Iterator[Path]:
        for pattern in patterns:
            path = Path(pattern).expanduser()
            found = sorted(path.parent.glob(path.name))
            if not found:
                raise InputError(f"{pattern}: no such file, expected labels")
            yield from found

    return list(matches())
