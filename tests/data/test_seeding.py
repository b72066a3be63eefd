"""Generators named by keys."""

from itertools import product

import torch

from nco.data.seeding import seeded


def test_other_keys_other_numbers() -> None:
    """Every tuple of keys has a stream of its own, those that differ by zeros at the end too."""
    names = [keys for length in range(1, 5) for keys in product(range(3), repeat=length)]
    draws = {tuple(torch.rand(4, generator=seeded(*keys)).tolist()) for keys in names}
    assert len(draws) == len(names)


def test_same_keys_same_numbers() -> None:
    """The same keys name the same stream, large ones too, whatever was drawn elsewhere."""
    for keys in ((7,), (7, 0), (2**63, 2**31, 5)):
        first = torch.rand(4, generator=seeded(*keys))
        torch.rand(1)
        assert torch.equal(first, torch.rand(4, generator=seeded(*keys)))
