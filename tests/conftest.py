"""Settings of all tests, and the builds of the CPU kernels that they run with."""

from collections.abc import Iterator

import pytest
from hypothesis import settings

from nco.data.native import load
from nco.envs import native as env_native
from nco.policies import native as policy_native
from tests.kernels import BUILDS

# Wall time says nothing on a shared machine; the number of examples bounds each test.
settings.register_profile("patient", deadline=None)
settings.load_profile("patient")


@pytest.fixture(params=BUILDS or [pytest.param("off", marks=pytest.mark.skip("none are built"))])
def build(request: pytest.FixtureRequest) -> Iterator[str]:
    """Every build of the kernels that this processor can run, whatever ``NCO_KERNELS`` says."""
    with pytest.MonkeyPatch.context() as patch:
        for module in (env_native, policy_native):
            patch.setattr(module, "library", lambda: load(request.param))
        yield request.param
