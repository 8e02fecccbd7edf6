"""How long Hypothesis looks: `--hypothesis-profile long` is for a run by hand."""

from __future__ import annotations

from hypothesis import HealthCheck, Verbosity, settings

_SLOW = [HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.filter_too_much]

# Every run tries the same, so that a change is not blamed for what it has not done.
settings.register_profile(
    "short",
    max_examples=40,
    stateful_step_count=50,
    deadline=None,
    derandomize=True,
    suppress_health_check=_SLOW,
)
settings.register_profile(
    "long",
    max_examples=2000,
    stateful_step_count=60,
    deadline=None,
    print_blob=True,
    verbosity=Verbosity.normal,
    suppress_health_check=_SLOW,
)
settings.load_profile("short")
