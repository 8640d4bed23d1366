"""The service that `.delay()` goes to: one client for each process, made when it is first needed, replaceable.

First comes what a test has put in place (tsched.testing), then a client that is default within a block, then what
`configure` said, else the place where the command line would look.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING, NamedTuple

from .tls import StrPath, Tls

if TYPE_CHECKING:
    from .async_client import AsyncClient
    from .client import Client


class Place(NamedTuple):
    """Where the default service is; all None: where the command line would look."""

    socket: StrPath | None = None
    state_dir: StrPath | None = None
    addr: str | None = None
    tls: Tls | None = None


class Stand(NamedTuple):
    """What stands in for a service."""

    client: Client
    async_client: AsyncClient


VARIABLES = ("SOCKET", "STATE_DIR", "ADDR", "TLS_CA_CERT", "TLS_CERT", "TLS_KEY")
Key = tuple[Place, *tuple[str | None, ...]]
_place = Place()
_made: dict[Key, Client] = {}
_made_async: dict[Key, AsyncClient] = {}
_stands: list[Stand] = []
_within: ContextVar[Client | None] = ContextVar("tsched_client", default=None)
_within_async: ContextVar[AsyncClient | None] = ContextVar("tsched_async_client", default=None)


def configure(
    socket: StrPath | None = None,
    *,
    state_dir: StrPath | None = None,
    addr: str | None = None,
    tls: Tls | None = None,
) -> None:
    """Say where the default service of this process is; with nothing: where the command line would look."""
    global _place  # noqa: PLW0603 - it is what a process has once
    _place = Place(socket, state_dir, addr, tls)


def default_client() -> Client:
    """The default client here. Raises TschedError for a path that is no socket's."""
    if _stands:
        return _stands[-1].client
    return _within.get() or _shared()


def default_async_client() -> AsyncClient:
    """The default client of async code here. Raises TschedError for a path that is no socket's."""
    if _stands:
        return _stands[-1].async_client
    return _within_async.get() or _shared_async()


@contextmanager
def using(client: Client) -> Iterator[None]:
    """Let this client be the default within the block."""
    token = _within.set(client)
    try:
        yield
    finally:
        _within.reset(token)


@contextmanager
def using_async(client: AsyncClient) -> Iterator[None]:
    """Let this client be the default of async code within the block."""
    token = _within_async.set(client)
    try:
        yield
    finally:
        _within_async.reset(token)


@contextmanager
def standing_in(stand: Stand) -> Iterator[None]:
    """Let this stand in for every default service of the process, in all its threads."""
    _stands.append(stand)
    try:
        yield
    finally:
        _stands.remove(stand)


def _key() -> Key:
    """What says where the service is; the environment may change, as in tests."""
    return _place, *(os.environ.get(f"TSCHED_{name}") for name in VARIABLES)


def _shared() -> Client:
    """Two threads that both make one use the same: the connection is made at its first call only."""
    from .client import Client  # noqa: PLC0415 - it imports this module

    key = _key()
    return _made.get(key) or _made.setdefault(key, Client(**_place._asdict()))


def _shared_async() -> AsyncClient:
    from .async_client import AsyncClient  # noqa: PLC0415 - it imports this module

    key = _key()
    return _made_async.get(key) or _made_async.setdefault(key, AsyncClient(**_place._asdict()))
