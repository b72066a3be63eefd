"""The builds of the CPU kernels that are tested here."""

import pytest

from nco.data.native import runnable, stale
from nco.envs import native as env_native
from nco.policies import native as policy_native

BUILDS = [] if stale() else runnable()  # python setup.py build_ext --inplace
every_build = pytest.mark.usefixtures("build")


def without_kernels(monkeypatch: pytest.MonkeyPatch) -> None:
    """Plain PyTorch from here on."""
    for module in (env_native, policy_native):
        monkeypatch.setattr(module, "library", lambda: None)
