"""Settings of all tests."""

from hypothesis import settings

# Wall time says nothing on a shared machine; the number of examples bounds each test.
settings.register_profile("patient", deadline=None)
settings.load_profile("patient")
