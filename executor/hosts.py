"""Function hosts, as their executor sees them: runners that run calls of functions, in the interpreter of their source.

Sync calls go through a socket of packets of which we hold both ends. So what was sent ahead can be taken back as long
as the host has not read it, and for certain: a packet is read there or here.
"""

from __future__ import annotations

import marshal
import os
import signal
import socket
from array import array
from typing import TYPE_CHECKING, Any

from .frames import MARSHAL_VERSION
from .host_messages import Open
from .order import stdin_file
from .pipes import Pipes
from .runners import Runner
from .upward import DESCRIPTORS_BYTES

if TYPE_CHECKING:
    import asyncio
    import subprocess

    from .calls import Call
    from .host_messages import Call as Order
    from .kinds import Kind

BEGIN = os.path.join(os.path.dirname(os.path.abspath(__file__)), "begin.py")
RUNNER_VARIABLE = "TSCHED_RUNNER"
"""The environment variable that carries the mark of a host."""
START_S = 60.0
"""So long an interpreter may take until it waits for calls."""
LEAVE_S = 5.0
"""So long a host that is let go may take to end."""
AHEAD = 16
INLINE_BYTES = 32 * 1024
"""Longer packets go as a file beside."""
ID_BYTES = 8


class Host(Runner):
    """One host. `calls` are those it was given, in their order; of a sync one the first runs, or has ended just now."""

    def __init__(
        self,
        process: subprocess.Popen[bytes],
        kind: Kind,
        *,
        loop: asyncio.AbstractEventLoop,
        pipes: Pipes,
        mark: str,
        source: dict[str, Any],
    ) -> None:
        super().__init__(process, kind)
        self.pipes = pipes
        self.calls: dict[int, Call] = {}
        self.ready = self.loaded = self.outdated = False
        self.slow = False
        """Whether the call that runs takes its time: then nothing waits behind it here."""
        self.noted = False
        """Whether it was said that not all output is known to be whose."""
        self.began_s = 0.0
        self.look: asyncio.TimerHandle | None = None
        """When it is seen to next: whether it is ready, then whether its call takes its time."""
        self._loop = loop
        self._source = source
        self._entry = f"{RUNNER_VARIABLE}={mark}".encode()
        self._ours, self._theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._ours.setblocking(False)

    @property
    def marks(self) -> list[bytes]:
        """The environment entry that all below it have."""
        return [self._entry]

    @property
    def free(self) -> bool:
        """Whether it can take a call."""
        if not (self.acknowledged and self.ready) or self.retired or self.tired or self.outdated:
            return False
        return self.kind.shared or self.attempt is None

    @property
    def idle(self) -> bool:
        """Whether it has nothing to do."""
        return self.acknowledged and self.ready and not self.calls and not self.retired

    @property
    def takes_ahead(self) -> bool:
        """Whether it would come soon to more calls than it has."""
        if self.attempt is None or self.slow or self.tired or self.outdated:
            return False
        return not self.kind.shared and len(self.calls) <= AHEAD // 2

    def open(self) -> None:
        """It is about to become a host: tell it of what."""
        self.look = self._loop.call_later(START_S, self.kill)
        self.send(Open(self._source, self.kind.shared), [os.dup(self._theirs.fileno())])

    def begin_to_wait(self) -> None:
        """It waits for calls."""
        self.ready = True
        if self.look:
            self.look.cancel()
            self.look = None

    def give(self, call: Call, order: Order) -> bool:
        """Send it a sync call; False when there is no room. Raises OSError."""
        data = marshal.dumps(tuple(order), MARSHAL_VERSION)
        head = call.id.to_bytes(ID_BYTES, "big")
        try:
            if len(data) <= INLINE_BYTES:
                self._ours.send(head + data)
            else:
                self._send_file(head, data)
        except BlockingIOError:
            return False
        except (BrokenPipeError, ConnectionResetError):
            pass  # its death is seen elsewhere
        self.calls[call.id] = call
        return True

    def take_back(self) -> list[int]:
        """The calls that it had not come to, and does not have any more; perhaps also the first it has."""
        taken = []
        while packet := self._steal():
            attempt_id = int.from_bytes(packet, "big")
            if self.calls.pop(attempt_id, None):  # else its function said that it had ended before it began
                taken.append(attempt_id)
        return taken

    def holds_last(self, call: Call) -> bool:
        """Whether this call is the last that it was given and has: with nothing behind it, it is the one that runs."""
        return bool(self.calls) and next(reversed(self.calls)) == call.id

    def ask_to_end(self) -> None:
        """Have the call that runs end."""
        self.signal(signal.SIGTERM)

    def retire(self) -> None:
        """Let it end; it is idle."""
        super().retire()
        self.close()
        self._loop.call_later(LEAVE_S, self.kill)

    def close(self) -> None:
        """Give up what leads to it."""
        if self.look:
            self.look.cancel()
        self._ours.close()
        self._theirs.close()
        self.pipes.close()

    def _send_file(self, head: bytes, data: bytes) -> None:
        fd = stdin_file(data)
        try:
            socket.send_fds(self._ours, [head], [fd])
        finally:
            os.close(fd)

    def _steal(self) -> bytes:
        """The number of the next call that waits in the socket; empty when none does."""
        try:
            head, ancillary, _, _ = self._theirs.recvmsg(ID_BYTES, DESCRIPTORS_BYTES, socket.MSG_DONTWAIT)
        except (BlockingIOError, ConnectionResetError):
            return b""
        for _, _, packed in ancillary:
            for fd in array("i", packed):
                os.close(fd)
        return head
