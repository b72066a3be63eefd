"""What training draws at random is new at every step, and the same in a second run."""

from pathlib import Path

import pytest
import torch
import yaml

from nco.training import REINFORCE
from tests.nco.training.runs import TINY, fit, write


def drawn(root: Path, monkeypatch: pytest.MonkeyPatch, accumulate: int) -> list[bytes]:
    """The states of all generators from which training steps draw, in a run of three epochs."""
    states = []
    original = REINFORCE.rng

    def rng(self: REINFORCE, batch_idx: int) -> torch.Generator:
        found = original(self, batch_idx)
        if self.trainer.training:
            states.append(found.get_state().numpy().tobytes())
        return found

    config = yaml.safe_load(TINY)
    config["trainer"]["accumulate_grad_batches"] = accumulate
    logs = ("--trainer.logger.init_args.save_dir", str(root))
    with monkeypatch.context() as patch:
        patch.setattr(REINFORCE, "rng", rng)
        assert fit("--config", write(root / "tiny.yaml", config), *logs) == 0
    return states


@pytest.mark.parametrize("accumulate", [1, 3])
def test_noise_is_new_in_every_epoch(
    accumulate: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Three epochs of three batches draw from nine different generators, also where several
    batches make one step; the same seed gives the same nine."""
    for name in ("first", "second"):
        (tmp_path / name).mkdir()
    states = drawn(tmp_path / "first", monkeypatch, accumulate)
    assert len(states) == 9 == len(set(states))
    assert drawn(tmp_path / "second", monkeypatch, accumulate) == states
