"""A socket that others come through: put in its place, watched, and made again when it vanishes.

gRPC binds a server to a path, takes away whatever socket stands there before, and removes that path again when the
server goes, even if another server's socket stands there by then. So each server is bound to a name of its own beside
the socket's, and the socket is linked to its place, which never takes anybody else's. A server whose socket vanished
cannot be given another; it is kept until its last caller has left, and a new one takes the place.
"""

from __future__ import annotations

import asyncio
import errno
import os
import socket
import stat
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, Protocol

import grpc

from ..proto import endpoint
from ..proto.errors import Refusal, RefusalReason
from . import inotify, log
from .background import Background
from .places import Place

# Longer than any caller stays; then the last one has left.
FOR_EVER_S = 1e9
RETRY_AFTER_S = 5.0
OTHER_NAMES = "~0123456789abcdefghijklmnopqrstuvwxyz"
GONE = inotify.ATTRIB | inotify.MOVE_SELF | inotify.DELETE_SELF
NEWS = inotify.CREATE | inotify.DELETE | inotify.MOVED


class Server(Protocol):
    """Somebody who listens at a path, and is made for it."""

    async def start(self) -> None:
        """Let callers in. Raises OSError."""

    async def stop(self, grace: float | None, /) -> Any:
        """Let nobody in any more; those who are in get this long."""


MakeServer = Callable[[Path], Server]
"""Makes one that will listen at the path. Raises Refusal SOCKET_UNUSABLE."""


class Door:
    """One socket path, its lock, and the server behind it."""

    def __init__(self, place: Place, make_server: MakeServer, background: Background) -> None:
        self.path = place.path
        self._lock = place.lock
        self._prepare = place.prepare
        self._make_server = make_server
        self._background = background
        self._server: Server | None = None
        self._old: list[Server] = []
        self._identity: tuple[int, int] | None = None
        self._watch: inotify.Inotify | None = None
        self._mending = False
        self._wrong = ""
        self._retry: asyncio.TimerHandle | None = None
        self._closed = False

    async def open(self) -> None:
        """Let callers in, and keep the way open from then on. Raises Refusal SOCKET_UNUSABLE, OSError."""
        await self._place()
        try:
            self._watch = inotify.Inotify(asyncio.get_running_loop(), self._look)
        except OSError as error:  # there are only so many per user
            log.get(socket=str(self.path)).warning("socket_not_watched", error=str(error))
        self._look()

    async def close(self, grace_s: float) -> None:
        """Let nobody in any more; those who are in get this long. Harmless when repeated."""
        self._closed = True
        if self._watch is not None:
            self._watch.close()
        if self._retry is not None:
            self._retry.cancel()
        servers = [*self._old, *([self._server] if self._server is not None else [])]
        self._server, self._identity, owned = None, None, self._stands()
        if owned:
            with suppress(OSError):
                self.path.unlink()
        await asyncio.gather(*(server.stop(grace_s) for server in servers))

    def forget(self) -> None:
        """Give the place up, and its folder where nothing is left in it."""
        self._lock.remove()
        with suppress(OSError):
            self.path.parent.rmdir()

    def _stands(self) -> bool:
        """Whether the path leads to us."""
        return self._identity is not None and _identity(self.path) == self._identity

    def _look(self) -> None:
        """See whether the socket is still in its place; watched first, so that no change falls between."""
        if self._watch is None or self._closed:
            return
        self._watch.watch(self._wanted())
        if not self._mending and not (self._stands() and self._lock.stands()):
            self._mending = True
            self._background.spawn(self._mend())

    def _wanted(self) -> dict[Path, int]:
        """The socket and its lock themselves, so that a busy folder wakes nobody; and every folder on the way to it."""
        wanted = dict.fromkeys(self.path.parents, inotify.MOVE_SELF | inotify.DELETE_SELF)
        if not self._stands():
            wanted[self.path.parent] |= NEWS
        return {**wanted, self.path: GONE, self._lock.path: GONE}

    async def _mend(self) -> None:
        """Put the socket in its place again; where that cannot be now, say why, once, and wait for a change."""
        try:
            await self._restore()
            log.get(socket=str(self.path)).warning("socket_made_again")
            self._wrong = ""
        except (OSError, Refusal) as error:
            self._complain(str(error))
        finally:
            self._mending = False
        if self._wrong:
            self._watch_and_retry()
        else:
            self._look()

    async def _restore(self) -> None:
        self._prepare()
        self._lock.renew()
        if self._stands():
            return
        former = self._server
        await self._place()
        if former is not None:
            self._retire(former)

    def _complain(self, wrong: str) -> None:
        if wrong != self._wrong:
            log.get(socket=str(self.path)).error("socket_vanished", error=wrong)
        self._wrong = wrong

    def _watch_and_retry(self) -> None:
        if self._retry is not None:
            self._retry.cancel()
        if self._watch is not None and not self._closed:
            self._watch.watch(self._wanted())
            self._retry = asyncio.get_running_loop().call_later(RETRY_AFTER_S, self._look)

    def _retire(self, server: Server) -> None:
        """Let nobody new in there; whoever is in stays as long as they like."""
        self._old.append(server)
        leaving = self._background.spawn(server.stop(FOR_EVER_S))
        leaving.add_done_callback(lambda _: self._old.remove(server) if server in self._old else None)

    async def _place(self) -> None:
        """Start a server, and link its socket to its place. Raises OSError, Refusal; nothing of it is left then."""
        beside = _room(self.path)
        server = self._make_server(beside)
        try:
            await server.start()
            identity = _identity(beside)
            os.link(beside, self.path, follow_symlinks=False)
        except BaseException:
            await server.stop(0)
            raise
        finally:
            beside.unlink(missing_ok=True)
        self._server, self._identity = server, identity
        if self._closed:
            await self.close(0)


def of_grpc(make_server: Callable[[], grpc.aio.Server]) -> MakeServer:
    """Have servers of gRPC made for paths."""

    def make(path: Path) -> Server:
        server = make_server()
        _bind(server, path)
        return server

    return make


def _bind(server: grpc.aio.Server, path: Path) -> None:
    """Raises Refusal SOCKET_UNUSABLE where gRPC cannot."""
    try:
        server.add_insecure_port(endpoint.target(path))
    except RuntimeError as error:
        raise Refusal(RefusalReason.SOCKET_UNUSABLE, f"cannot listen at {path}: {error}", "see its folder") from None


def _identity(path: Path) -> tuple[int, int] | None:
    with suppress(OSError):
        found = path.lstat()
        if stat.S_ISSOCK(found.st_mode):
            return found.st_dev, found.st_ino
    return None


def _room(path: Path) -> Path:
    """As `_free_name`, while the place itself is free. Raises Refusal SOCKET_UNUSABLE."""
    if os.path.lexists(path):
        raise Refusal(RefusalReason.SOCKET_UNUSABLE, f"something else stands at {path}", "move it away")
    return _free_name(path)


def _free_name(path: Path) -> Path:
    """A name beside the socket's, no longer than it (the address of a socket is short), where nobody listens."""
    for character in OTHER_NAMES:
        beside = path.with_name(path.name[:-1] + character)
        if beside.name != path.name and (not os.path.lexists(beside) or _is_left_over(beside)):
            return beside
    raise Refusal(RefusalReason.SOCKET_UNUSABLE, f"no free name beside {path}", "choose another folder with --socket")


def _is_left_over(beside: Path) -> bool:
    """Whether it is a socket that a supervisor left behind which died just then; gRPC takes it away."""
    if not beside.name.endswith(OTHER_NAMES[0]) or _identity(beside) is None:
        return False
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.setblocking(False)
        return probe.connect_ex(os.fspath(beside)) == errno.ECONNREFUSED
