"""What all tests share: one real broker and one real MLflow for the session, made when needed."""

from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, settings

# A loaded machine is no reason to fail.
settings.register_profile("ours", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("ours")
