"""What every instance generator is: sizes in, a batch of instances out, no global randomness."""

from abc import ABC, abstractmethod
from typing import TypeVar

import torch
from tensordict import TensorDict

from nco.data.errors import InputError

Number = TypeVar("Number", int, float)


class InstanceGenerator(ABC):
    """
    Draws batches of instances.

    Parameters
    ----------
    size
        Number of customers (for the TSP: of nodes), or an inclusive range of it. A batch has one
        size, drawn anew for each: batches are never padded.

    Raises
    ------
    InputError
        The size or range is empty.
    """

    def __init__(self, size: int | tuple[int, int] = 50):
        low, high = as_range(size)
        if not 1 <= low <= high:
            raise InputError(f"size: {size}, expected a positive number or an ascending range")
        self.size = (int(low), int(high))

    def __call__(
        self,
        batch_size: int,
        rng: torch.Generator,
        device: torch.device | str | None = None,
    ) -> TensorDict:
        """
        Draws ``batch_size`` instances of one size.

        Parameters
        ----------
        batch_size
            Number of instances B.
        rng
            Source of all randomness; the tensors are drawn on its device.
        device
            Where the instances are wanted; by default where they were drawn.
        """
        low, high = self.size
        size = int(torch.randint(low, high + 1, (), generator=rng, device=rng.device))
        instance = self.generate(batch_size, size, rng)
        return instance if device is None else instance.to(device)

    @abstractmethod
    def generate(self, batch_size: int, size: int, rng: torch.Generator) -> TensorDict:
        """Draws instances of a given size on the device of ``rng``."""


def as_range(value: Number | tuple[Number, Number]) -> tuple[Number, Number]:
    """A number as the range that holds only it."""
    return value if isinstance(value, tuple) else (value, value)


def uniform(low: float, high: float, shape: tuple[int, ...], rng: torch.Generator) -> torch.Tensor:
    """Uniform float32 numbers in ``[low, high)``."""
    return low + (high - low) * torch.rand(shape, generator=rng, device=rng.device)


def integers(low: int, high: int, shape: tuple[int, ...], rng: torch.Generator) -> torch.Tensor:
    """Uniform int64 numbers in ``low..high``, both included."""
    return torch.randint(low, high + 1, shape, generator=rng, device=rng.device)
