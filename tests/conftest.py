"""Settings shared by all tests: how many examples a property is tried with."""

import os

from hypothesis import HealthCheck, settings

_CALM = [HealthCheck.too_slow, HealthCheck.function_scoped_fixture]
settings.register_profile("push", max_examples=60, deadline=None, suppress_health_check=_CALM, print_blob=True)
settings.register_profile("nightly", max_examples=2000, deadline=None, suppress_health_check=_CALM, print_blob=True)
settings.load_profile(os.environ.get("DIGEST_TEST_EXAMPLES", "push"))
