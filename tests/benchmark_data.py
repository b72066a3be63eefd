"""Public benchmark files, which the project does not ship: without them tests are skipped."""

import os
from pathlib import Path

import pytest


def benchmark_data(*parts: str) -> Path:
    """
    A file or folder of the benchmark data; skips the test if it is absent.

    Parameters
    ----------
    parts
        Path below the folder that ``NCO_BENCHMARK_DATA`` names (or ``../shared/data`` beside the
        checkout).
    """
    default = Path(__file__).parents[2] / "shared" / "data"
    path = Path(os.environ.get("NCO_BENCHMARK_DATA", default)).joinpath(*parts)
    if not path.exists():
        pytest.skip(f"no benchmark data at {'/'.join(parts)}: set NCO_BENCHMARK_DATA")
    return path
