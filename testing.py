"""Tests of code that submits calls: without a service (`inline`, `manual`), or with a real one (`service`).

`pytest_plugins = ["tsched.testing"]` in a conftest.py makes the fixtures tsched_service, tsched_inline and
tsched_manual known.
"""

import sys

from .client.testing import adrain, assert_enqueued, drain, inline, manual, refute_enqueued, travel
from .client.testing_service import TestService, service

__all__ = [
    "TestService",
    "adrain",
    "assert_enqueued",
    "drain",
    "inline",
    "manual",
    "refute_enqueued",
    "service",
    "travel",
]

if "pytest" in sys.modules:  # it is not needed otherwise
    from .client.pytest_plugin import tsched_functions, tsched_inline, tsched_manual, tsched_service

    __all__ += ["tsched_functions", "tsched_inline", "tsched_manual", "tsched_service"]
