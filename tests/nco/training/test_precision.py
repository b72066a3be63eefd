"""The precision of a run follows the processor, and an LSTM runs on all of them."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
import yaml

from nco.envs import problem
from nco.hub.released import card_of_checkpoint
from nco.policies import PointerNetwork
from nco.training import precision
from nco.training.precision import fitting_precision
from tests.nco.training.runs import TINY, fit, small, write
from tests.nco.training.solved import write_tours

ROOT = Path(__file__).parents[3]
RECIPE = ROOT / "configs" / "pointer_network" / "tsp_10_supervised.yaml"
FORCED = {"ONEDNN_MAX_CPU_ISA": "AVX2", "DNNL_MAX_CPU_ISA": "AVX2"}  # new and old name

LSTM = """
import torch
from nco.policies.lstm import LSTM
torch.manual_seed(0)
lstm = LSTM(4, 4, batch_first=True)
x = torch.rand(2, 3, 4)
exact = lstm(x)[0]
with torch.autocast("cpu", torch.bfloat16):
    found, state = lstm(x.bfloat16().float())
    again = lstm(x, state)[0]
assert found.dtype == again.dtype == torch.float32
again.sum().backward()
assert torch.allclose(found, exact, atol=1e-2)
"""


def on_avx2(*command: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    """Runs Python in a process whose oneDNN has the instructions of AVX2 only."""
    environment = os.environ | FORCED | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    return subprocess.run(
        [sys.executable, *command],
        env=environment, cwd=cwd, capture_output=True, text=True, check=False,
    )  # fmt: skip


@pytest.mark.parametrize("precision", ["auto", "bf16-mixed"])
def test_supervised_pointer_network_runs_on_avx2(precision: str, tmp_path: Path) -> None:
    """The recipe runs in the precision that suits such a processor, and in bfloat16 too if a person
    insists: without the LSTM's own precision oneDNN has no primitive for it."""
    labels = tmp_path / "labels.npz"
    write_tours(labels, (5,) * 4)
    overrides = small(yaml.safe_load(RECIPE.read_text()))
    overrides["data"]["init_args"] |= {
        "labels": [str(labels)], "val_labels": [str(labels)], "val_size": 5,
    }  # fmt: skip
    words = ["--config", str(RECIPE), "--config", write(tmp_path / "o.yaml", overrides)]
    words += ["--trainer.fast_dev_run=true", "--trainer.accelerator=cpu"]
    words += [f"--trainer.precision={precision}", "--trainer.enable_progress_bar=false"]
    done = on_avx2("-m", "nco", "fit", *words, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert ("precision: 32-true" in done.stdout) == (precision == "auto")


def test_an_lstm_computes_in_float32_without_units_for_less(tmp_path: Path) -> None:
    """Where oneDNN has no bfloat16 LSTM the result under autocast is that of float32, with its
    gradient, also from a given state."""
    done = on_avx2("-c", LSTM, cwd=tmp_path)
    assert done.returncode == 0, done.stderr


def test_an_lstm_keeps_the_names_of_its_weights() -> None:
    """Checkpoints of before load."""
    names = set(PointerNetwork(problem("tsp"), dim=4).lstm.state_dict())
    assert names == {"weight_ih_l0", "weight_hh_l0", "bias_ih_l0", "bias_hh_l0"}


@pytest.mark.parametrize(
    ("amx", "avx512_bf16", "limit", "expected"),
    [
        (False, False, None, "32-true"),
        (True, False, None, "bf16-mixed"),
        (False, True, None, "bf16-mixed"),
        (True, True, "AVX2", "32-true"),
        (True, True, "avx512_core", "32-true"),
        (True, True, "AVX512_CORE_BF16", "bf16-mixed"),
        (True, True, "DEFAULT", "bf16-mixed"),
    ],
)
def test_auto_follows_the_processor(
    amx: bool, avx512_bf16: bool, limit: str | None, expected: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """bfloat16 on a CPU with units for it, unless oneDNN is told to leave them alone."""
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.cpu, "_is_amx_tile_supported", lambda: amx)
    monkeypatch.setattr(torch.cpu, "_is_avx512_bf16_supported", lambda: avx512_bf16)
    for name in FORCED:
        monkeypatch.delenv(name, raising=False)
        if limit is not None:
            monkeypatch.setenv(name, limit)
    assert [fitting_precision(kind) for kind in ("auto", "cpu")] == [expected] * 2
    assert fitting_precision("mps") == "32-true"


@pytest.mark.parametrize(("half", "expected"), [(True, "bf16-mixed"), (False, "32-true")])
def test_auto_follows_the_card(half: bool, expected: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A CUDA device decides where there is one, unless the CPU is asked for."""
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda including_emulation: half)
    monkeypatch.setattr(precision, "cpu_computes_half", lambda: not half)
    for kind in ("auto", "gpu", "cuda"):
        assert fitting_precision(kind) == expected
    assert fitting_precision("cpu") != expected


@pytest.mark.parametrize("half", [True, False])
def test_the_resolved_precision_is_told_and_kept(
    half: bool,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """``auto`` is printed as what it became; the checkpoint, and so the card, has that, while its
    configuration still asks for ``auto``."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(precision, "cpu_computes_half", lambda: half)
    expected = "bf16-mixed" if half else "32-true"
    words = ("--trainer.precision", "auto", "--trainer.max_epochs", "1")
    assert fit("--config", write(tmp_path / "tiny.yaml", TINY), *words) == 0
    assert f"precision: {expected}" in capsys.readouterr().out
    path = Path("runs/tiny/version_0/checkpoints/last.ckpt")
    checkpoint = torch.load(path, weights_only=True)
    assert checkpoint["precision"] == expected
    assert yaml.safe_load(checkpoint["config"])["trainer"]["precision"] == "auto"
    assert card_of_checkpoint(path)["training"]["precision"] == expected
