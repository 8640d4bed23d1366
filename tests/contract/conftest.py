"""An executor that the tests of a file share, once as this user and once as a plain one."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from support.fake_link import FakeLink, Setup, plain_user, shared_room
from support.wait import until

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture(scope="module", params=["own", "plain"])
def shared(request: pytest.FixtureRequest) -> Iterator[Setup]:
    """One for all tests of the file."""
    if request.param == "plain" and os.getuid() != 0:
        pytest.skip("is one already")
    with shared_room(*(plain_user() if request.param == "plain" else ())) as setup:
        yield setup


@pytest.fixture
def place(shared: Setup) -> Path:
    """A folder that its tasks may write."""
    return shared.place()


@pytest.fixture
def link(shared: Setup) -> Iterator[FakeLink]:
    """The supervisor's end; nothing may be left of a test's tasks."""
    yield shared.link
    until(shared.settled, what="nothing is left below the runners")
