"""The ways to a service: its Unix socket, or an address on TCP. Loads gRPC only to make a channel."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, TypeAlias

from ..proto import endpoint, presence
from ..proto.errors import Refusal, RefusalReason

if TYPE_CHECKING:
    import grpc

    from .tcp_way import TcpWay


class SocketWay:
    """A Unix socket of this machine."""

    is_far = False
    """Whether the service is on another machine, where folders and variables of this one mean nothing."""
    tells_who_comes = True
    """Whether it is known at once if somebody who does not listen yet is about to."""
    channel_options: ClassVar[endpoint.Options] = []
    ready_step_s = float("inf")

    def __init__(self, path: Path) -> None:
        self.path = path

    def __str__(self) -> str:
        return str(self.path)

    @property
    def target(self) -> str:
        """The address as gRPC has it."""
        return endpoint.target(self.path)

    def credentials(self) -> grpc.ChannelCredentials | None:
        """What a channel needs besides."""
        return None

    def check_there(self) -> None:
        """Raises Refusal NO_SUPERVISOR where nobody listens, nor is about to: a connection takes long to say so."""
        if not presence.accepts(self.path) and presence.holder(presence.socket_lock(self.path)) is None:
            raise self.nobody()

    def comes_back(self, limit_s: float) -> bool:
        """Wait for a supervisor that begins anew; whether it is there again. One that has ended is not waited for."""
        lock = presence.socket_lock(self.path)
        return presence.holder(lock) is not None and presence.await_return(self.path, [lock], limit_s)

    def is_open(self) -> bool:
        """Whether a connection that broke is none that matters. Here none breaks while the supervisor lives."""
        return False

    def nobody(self) -> Refusal:
        """What it means that a connection broke, or came to nothing."""
        message = f"no supervisor answers at {self.path}"
        return Refusal(RefusalReason.NO_SUPERVISOR, message, "start one with: tsched up -d")


Way: TypeAlias = "SocketWay | TcpWay"


def as_way(where: Way | Path) -> Way:
    """A path is that of a socket. Raises Refusal SOCKET_UNUSABLE for one that is too long."""
    return SocketWay(endpoint.check_socket_path(where)) if isinstance(where, Path) else where
