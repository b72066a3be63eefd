"""Batches drawn one after another, resumable at any of them."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence

import lightning as L
import torch
from tensordict import TensorDict

from nco.data.errors import InputError
from nco.data.seeding import seeded


class Stream:
    """
    An endless sequence of batches, cut into epochs.

    Batch k follows from (seed, rank, k) alone: a resumed run sees what the interrupted one would
    have seen, and ranks see different instances. Lightning saves and restores `state_dict`.

    Parameters
    ----------
    draw
        Makes one batch from a generator.
    batches
        Batches an epoch.
    seed, rank
        Name the stream.
    """

    def __init__(
        self, draw: Callable[[torch.Generator], TensorDict], batches: int, seed: int, rank: int = 0
    ):
        self.draw = draw
        self.batches = batches
        self.seed = seed
        self.rank = rank
        self.position = 0

    def __len__(self) -> int:
        return self.batches

    def __iter__(self) -> Iterator[TensorDict]:
        end = (self.position // self.batches + 1) * self.batches
        while self.position < end:
            rng = seeded(self.seed, self.rank, self.position)
            self.position += 1
            yield self.draw(rng)

    def state_dict(self) -> dict[str, int]:
        """Where the stream stands: the number of batches handed out."""
        return {"position": self.position}

    def load_state_dict(self, state: dict[str, int]) -> None:
        """Continues where another stream of the same seed stood."""
        self.position = state["position"]


class StreamedData(L.LightningDataModule, ABC):
    """
    Training data as a `Stream`, whose place is in every checkpoint.

    (Lightning by itself restores the place of a loader in the middle of an epoch only.)

    Parameters
    ----------
    batches, seed
        See `Stream`.
    """

    def __init__(self, batches: int, seed: int):
        super().__init__()
        at_least(1, batches=batches)
        self.batches = batches
        self.seed = seed
        self._stream: Stream | None = None
        self._position = 0

    @abstractmethod
    def draw(self) -> Callable[[torch.Generator], TensorDict]:
        """What makes one training batch from a generator."""

    def train_dataloader(self) -> Stream:
        rank = self.trainer.global_rank if self.trainer else 0
        self._stream = Stream(self.draw(), self.batches, self.seed, rank)
        self._stream.position = self._position
        return self._stream

    def state_dict(self) -> dict[str, int]:
        """Where the stream stands, once there is one."""
        return {} if self._stream is None else self._stream.state_dict()

    def load_state_dict(self, state_dict: dict[str, int]) -> None:
        """Lets the stream begin where another one stood."""
        self._position = state_dict["position"]


def at_least(least: int, **numbers: int) -> None:
    """
    Refuses numbers, given by name, that are too small.

    Raises
    ------
    InputError
        One is.
    """
    for name, number in numbers.items():
        if number < least:
            raise InputError(f"{name}: {number}, expected {least} or more")


class Fixed:
    """
    The same batches every time, for validation.

    Parameters
    ----------
    batches
        What to iterate over. (A bare list would be taken for several loaders.)
    """

    def __init__(self, batches: Sequence[TensorDict]):
        self.batches = batches

    def __len__(self) -> int:
        return len(self.batches)

    def __iter__(self) -> Iterator[TensorDict]:
        return iter(self.batches)
