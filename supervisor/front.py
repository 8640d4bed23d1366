"""The acceptor of a service of several users: the kernel tells it who connects, and it passes that on.

gRPC cannot tell who is at the other end of a Unix socket. So users connect here, and for each of them a connection is
made to the socket of gRPC, which lies in a folder that only root may enter, from a socket bound to a name there that
says who it is: p.UID.PID.N. That name is the peer's to gRPC, and nobody else can have such a one. Bytes are copied
both ways, with no more in hand than what is on its way: whoever reads slowly slows only who writes to them.
"""

from __future__ import annotations

import asyncio
import errno
import os
import socket
import struct
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from functools import cache
from itertools import count
from pathlib import Path
from typing import NamedTuple, cast

from ..proto import endpoint
from ..proto.clock import SECOND_US, Clock
from . import log

CREDENTIALS = struct.Struct("iII")
BACKLOG = 512
AT_ONCE = 32
"""So many are let in before others have their turn."""
HELD_BYTES = 64 * 1024
"""What may wait for a reader before nothing more is read from the writer; and one piece."""
PATIENCE_S = 1.0
"""So long nobody is let in after the machine had no descriptor for it."""
DIAL_TRIES, DIAL_AGAIN_S = 100, 0.02
"""The queue of gRPC's own socket may be full for a moment."""
COMPLAIN_EVERY_US = 60 * SECOND_US
NUMBERS = count(1)
OVERFLOW_UID = Path("/proc/sys/kernel/overflowuid")
INVALID_UID = 2**32 - 1
LINGER_S = 10.0
"""So long what is on its way to one whose other end has gone may take."""
ROOTS = 16
"""Connections kept for root, who has to be able to look what is going on."""


class Peer(NamedTuple):
    """Who connected, as the kernel says: the uid is that of then, and so it stays."""

    uid: int
    pid: int


class Access(NamedTuple):
    """Who may connect at all: as the mode and the group of the socket say."""

    mode: int
    gid: int = -1


class Guests:
    """Who is in, and whether one more may be."""

    def __init__(self, per_user: int, in_all: int, clock: Clock) -> None:
        self._per_user = per_user
        self._in_all = in_all
        self._clock = clock
        self._inside: Counter[int] = Counter()
        self._complained_at_us: dict[int, int] = {}

    def enter(self, uid: int) -> bool:
        """Count one more of this user; False where there are too many already, which is said now and then."""
        inside, room = self._inside.total(), self._in_all + (ROOTS if uid == 0 else 0)
        if self._inside[uid] < self._per_user and inside < room:
            self._inside[uid] += 1
            return True
        self._complain(uid, inside)
        return False

    def leave(self, uid: int) -> None:
        """Count one less."""
        self._inside[uid] -= 1
        if not self._inside[uid]:
            del self._inside[uid]

    def _complain(self, uid: int, inside: int) -> None:
        now_us = self._clock.mono_us()
        if now_us >= self._complained_at_us.get(uid, now_us):
            self._complained_at_us[uid] = now_us + COMPLAIN_EVERY_US
            log.get(uid=uid).warning("too_many_connections", of_user=self._inside[uid], in_all=inside)


class Front:
    """One listening socket at a path, made with its mode and group, and all who came in through it."""

    def __init__(self, path: Path, inner: Path, guests: Guests, access: Callable[[], Access]) -> None:
        self._path = path
        self._inner = inner
        self._guests = guests
        self._access = access
        self._listener: socket.socket | None = None
        self._works: set[asyncio.Task[None]] = set()
        self._pairs: set[Pair] = set()

    async def start(self) -> None:
        """Let callers in. Raises OSError."""
        listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
        try:
            listener.bind(os.fspath(self._path))  # the umask keeps it to root until it is what it is to be
            access = self._access()
            os.chown(self._path, -1, access.gid)
            self._path.chmod(access.mode)
            listener.listen(BACKLOG)
        except BaseException:
            listener.close()
            raise
        self._listener = listener
        self._listen()

    async def stop(self, grace: float | None, /) -> None:
        """Let nobody in any more; those who are in get this long. Harmless when repeated."""
        if self._listener is not None:
            asyncio.get_running_loop().remove_reader(self._listener)
            self._listener.close()
            self._listener = None
        inside = [*self._works, *(pair.ended for pair in self._pairs)]
        if inside and grace:
            await asyncio.wait(inside, timeout=grace)
        for work in self._works:
            work.cancel()
        for pair in list(self._pairs):
            pair.abort()

    def _listen(self) -> None:
        if self._listener is not None:
            asyncio.get_running_loop().add_reader(self._listener, self._accept, self._listener)

    def _accept(self, listener: socket.socket) -> None:
        for _ in range(AT_ONCE):
            try:
                client, _ = listener.accept()
            except BlockingIOError:
                return
            except OSError as error:
                self._pause(listener, error)
                return
            client.setblocking(False)
            self._admit(client)

    def _pause(self, listener: socket.socket, error: OSError) -> None:
        """No descriptor is left: it would be readable all the time."""
        if error.errno == errno.ECONNABORTED:
            return
        log.get(socket=str(self._path)).error("nobody_let_in", error=str(error), again_in_s=PATIENCE_S)
        loop = asyncio.get_running_loop()
        loop.remove_reader(listener)
        loop.call_later(PATIENCE_S, self._listen)

    def _admit(self, client: socket.socket) -> None:
        peer = _peer_of(client)
        if not _is_somebody(peer.uid) or not self._guests.enter(peer.uid):
            client.close()
            return
        work = asyncio.create_task(self._join(client, peer))
        self._works.add(work)
        work.add_done_callback(self._works.discard)

    async def _join(self, client: socket.socket, peer: Peer) -> None:
        """Connect the two; whatever becomes of it, the one who came is counted until they have left."""
        pair = Pair()
        pair.ended.add_done_callback(lambda _: self._left(pair, peer.uid))
        self._pairs.add(pair)
        try:
            await pair.join(client, self._inner, peer)
        except OSError as error:
            log.get(uid=peer.uid).warning("caller_not_connected", error=str(error))
            pair.abort()
        except BaseException:
            pair.abort()
            raise

    def _left(self, pair: Pair, uid: int) -> None:
        self._pairs.discard(pair)
        self._guests.leave(uid)


class End(asyncio.Protocol):
    """One of the two connections of a pair."""

    def __init__(self, pair: Pair) -> None:
        self._pair = pair
        self._early = b""
        """What came before there was anybody to pass it on to."""
        self.to: asyncio.Transport | None = None
        """The other one's transport, once it is there."""
        self.transport: asyncio.Transport | None = None
        self.has_ended = False
        """Whether nothing more will come."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """It is open."""
        self.transport = cast("asyncio.Transport", transport)
        self.transport.set_write_buffer_limits(HELD_BYTES)
        self._pair.made()

    def begin(self, to: asyncio.Transport) -> None:
        """The other one is there: pass on what came until now."""
        self.to = to
        if self._early:
            to.write(self._early)
            self._early = b""
        if self.has_ended:
            self.eof_received()
        elif self.transport is not None and not self.transport.is_closing():
            self.transport.resume_reading()

    def data_received(self, data: bytes) -> None:
        """Pass it on, as soon as there is somebody."""
        if self.to is not None:
            self.to.write(data)
        elif self.transport is not None:
            self._early += data
            self.transport.pause_reading()

    def eof_received(self) -> bool:
        """Pass on that no more will come; what comes the other way still may."""
        self.has_ended = True
        if self._pair.has_ended:
            self._pair.close()
        elif self.to is not None:
            self.to.write_eof()
        return True

    def pause_writing(self) -> None:
        """Its reader is slow: so is who writes to it."""
        if self.to is not None:
            self.to.pause_reading()

    def resume_writing(self) -> None:
        """There is room again."""
        if self.to is not None and not self.to.is_closing():
            self.to.resume_reading()

    def connection_lost(self, _error: Exception | None) -> None:
        """It is gone."""
        self._pair.lost()


class Pair:
    """Two connections that are one to whoever is at their ends."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._ends = (End(self), End(self))
        self._living = 0
        self._joining = True
        self._closing = False
        self._linger: asyncio.TimerHandle | None = None
        self.ended: asyncio.Future[None] = self._loop.create_future()
        """Nothing of it is open any more."""

    async def join(self, client: socket.socket, inner: Path, peer: Peer) -> None:
        """Copy between who came and gRPC. The client's socket is closed with it. Raises OSError."""
        first, second = self._ends
        try:
            await _take(client, first)
            await _take(await _dial(inner, peer), second)
        finally:
            self._joining = False
        if self._closing:
            self._close_open()
        elif first.transport is not None and second.transport is not None:
            first.begin(second.transport)
            second.begin(first.transport)

    @property
    def has_ended(self) -> bool:
        """Whether nothing more will come from either."""
        return all(end.has_ended for end in self._ends)

    def made(self) -> None:
        """One of them is open."""
        self._living += 1

    def lost(self) -> None:
        """One of them is gone: the other is of no use, but what was said on the way is passed on."""
        self._living -= 1
        self.close()

    def close(self) -> None:
        """Close what is open when what is on its way has arrived, which must not take for ever."""
        if not self._closing:
            self._closing = True
            self._linger = self._loop.call_later(LINGER_S, self.abort)
            self._close_open()
        self._note_end()

    def abort(self) -> None:
        """Close both at once."""
        self._closing = True
        for end in self._ends:
            if end.transport is not None:
                end.transport.abort()
        self._note_end()

    def _close_open(self) -> None:
        for end in self._ends:
            if end.transport is not None:
                end.transport.close()

    def _note_end(self) -> None:
        if self._living or self._joining:
            return
        if self._linger is not None:
            self._linger.cancel()
        if not self.ended.done():
            self.ended.set_result(None)


async def _take(sock: socket.socket, end: End) -> None:
    """Have the loop serve it; it is closed where that cannot be. Raises OSError."""
    try:
        await asyncio.get_running_loop().connect_accepted_socket(lambda: end, sock)
    except BaseException:
        sock.close()
        raise


def _peer_of(client: socket.socket) -> Peer:
    pid, uid, _ = CREDENTIALS.unpack(client.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, CREDENTIALS.size))
    return Peer(uid, pid)


def _is_somebody(uid: int) -> bool:
    """Whether this uid tells one user from all others; that of those who have none here does not."""
    return uid not in (_overflow_uid(), INVALID_UID)


@cache
def _overflow_uid() -> int:
    return int(OVERFLOW_UID.read_text())


async def _dial(inner: Path, peer: Peer) -> socket.socket:
    """A connection to gRPC's socket, from one whose name says who is behind it. Raises OSError."""
    ours = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
    name = endpoint.check_socket_path(inner.with_name(f"p.{peer.uid}.{peer.pid}.{next(NUMBERS)}"))
    try:
        ours.bind(os.fspath(name))
        try:
            await _connect(ours, inner)
        finally:
            name.unlink()
    except BaseException:
        ours.close()
        raise
    return ours


async def _connect(ours: socket.socket, inner: Path) -> None:
    """Of a Unix socket that happens at once, or not at all for the moment. Raises OSError."""
    for _ in range(DIAL_TRIES):
        try:
            ours.connect(os.fspath(inner))
        except BlockingIOError:
            await asyncio.sleep(DIAL_AGAIN_S)
        else:
            return
    raise ConnectionRefusedError(errno.EAGAIN, f"no room in the queue of {inner}")


def clear(inner: Path) -> None:
    """Remove the names that a supervisor left behind which was killed."""
    for name in inner.parent.glob("p.*"):
        with suppress(OSError):
            name.unlink()
