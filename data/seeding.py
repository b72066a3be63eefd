"""Random generators that follow from what they are for, so that no run depends on its history."""

import numpy as np
import torch


def seeded(*keys: int, device: torch.device | str = "cpu") -> torch.Generator:
    """
    A generator for one purpose.

    Parameters
    ----------
    keys
        Non-negative integers that name the purpose: (seed, rank, step), say. Other keys give an
        independent stream (`numpy.random.SeedSequence`).
    device
        Where the generator draws.
    """
    if len(keys) > 1 and keys[-1] == 0:
        keys = (*keys, 2**32 - 1)  # it pads with zeros: (seed, 0) would be (seed,)
    state = np.random.SeedSequence(keys).generate_state(2, np.uint32)
    # Two words of 32 bits as one non-negative seed of 63.
    return torch.Generator(device).manual_seed((int(state[0]) << 31) ^ int(state[1]))
