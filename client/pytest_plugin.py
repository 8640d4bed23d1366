"""Fixtures for pytest: `pytest_plugins = ["tsched.testing"]` in a conftest.py makes them known."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import TypedDict

import pytest

from .testing import inline, manual
from .testing_engine import Engine
from .testing_service import TestService, service


class Functions(TypedDict, total=False):
    """What `tsched_functions` gives."""

    modules: list[str]
    """To be imported by the service."""
    path: str
    """A folder put before sys.path; the one pytest runs in by default."""
    config: str
    """More of a config.toml."""


@pytest.fixture
def tsched_functions() -> Functions:
    """Which functions the service of `tsched_service` has; to be overridden."""
    return {}


@pytest.fixture
def tsched_service(tsched_functions: Functions, monkeypatch: pytest.MonkeyPatch) -> Iterator[TestService]:
    """A real supervisor that this test has to itself; `.delay()`, `Client()` and the command line find it."""
    with service(**tsched_functions, start=False) as served:
        for name in ("TSCHED_SOCKET", "TSCHED_STATE_DIR"):
            monkeypatch.setenv(name, served.env[name])
        served.start()
        yield served
        sys.stderr.write(served.log())  # shown where the test has failed


@pytest.fixture
def tsched_inline() -> Iterator[Engine]:
    """Calls run in this process before `delay` returns."""
    with inline() as engine:
        yield engine


@pytest.fixture
def tsched_manual() -> Iterator[Engine]:
    """Calls are kept, and run by `drain()`."""
    with manual() as engine:
        yield engine
