"""Learning-rate schedules that advance with every step."""

import math

from torch.optim import Optimizer
from torch.optim.lr_scheduler import LambdaLR

from nco.data.errors import InputError


class WarmupCosine(LambdaLR):
    """
    A linear rise from nothing, then half a cosine down (Loshchilov and Hutter 2017).

    Give it with ``lr_interval: step``.

    Parameters
    ----------
    optimizer
        Whose rates are the highest ones.
    steps
        Steps until the lowest rate, those of the rise included; it stays from there on.
    warmup
        Steps of the rise: step k of them has the share ``(k + 1) / (warmup + 1)``.
    floor
        The lowest rate as a share of the highest.

    Raises
    ------
    InputError
        The rise is not shorter than the whole, or the floor is no share.
    """

    def __init__(self, optimizer: Optimizer, steps: int, warmup: int = 0, floor: float = 0.0):
        if not 0 <= warmup < steps:
            raise InputError(f"warmup: {warmup} of {steps} steps, expected fewer, and 0 or more")
        if not 0 <= floor <= 1:
            raise InputError(f"floor: {floor}, expected a share of 1")
        self.steps, self.warmup, self.floor = steps, warmup, floor
        super().__init__(optimizer, self.share)

    def share(self, step: int) -> float:
        """The rate of a step, counted from 0, as a share of the highest."""
        if step < self.warmup:
            return (step + 1) / (self.warmup + 1)
        along = min(1.0, (step - self.warmup) / (self.steps - self.warmup))
        return self.floor + (1 - self.floor) * (1 + math.cos(math.pi * along)) / 2
