"""The way to a service on TCP: under TLS or, on the loopback, without. Loads gRPC only to make a channel."""

from __future__ import annotations

import ipaddress
import re
import time
from contextlib import suppress
from typing import TYPE_CHECKING

from ..proto import endpoint
from ..proto.checks import quoted
from ..proto.clock import SECOND_US, SystemClock
from ..proto.errors import Refusal, RefusalReason
from . import reach
from . import tls as tls_files
from .tls import Tls, Trust

if TYPE_CHECKING:
    import grpc

ADDRESS = re.compile(r"(?P<host>\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]+):(?P<port>[0-9]{1,5})", re.ASCII)
ADDRESS_HINT = "write HOST:PORT, such as 127.0.0.1:50051, or [::1]:50051"
PORTS = range(1, 65_536)
LOOK_EVERY_S = 0.05


class TcpWay:
    """An address on TCP, under TLS or, on the loopback, without."""

    tells_who_comes = False
    channel_options = endpoint.TCP_CHANNEL_OPTIONS
    ready_step_s = 5.0
    """So long gRPC waits for a connection before it is looked whether there can be one."""

    def __init__(self, host: str, port: int, trust: Trust | None = None) -> None:
        self.host = host
        self.port = port
        self.trust = trust

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    @property
    def target(self) -> str:
        """The address as gRPC has it."""
        return str(self)

    @property
    def is_far(self) -> bool:
        """Whether the service is on another machine, where folders and variables of this one mean nothing."""
        return not is_loopback(self.host)

    def credentials(self) -> grpc.ChannelCredentials | None:
        """What a channel needs besides; None: nothing."""
        import grpc  # noqa: PLC0415 - dear to load, and mistakes are answered without it

        if self.trust is None:
            return None
        return grpc.ssl_channel_credentials(self.trust.ca_cert, self.trust.key, self.trust.cert)

    def check_there(self) -> None:
        """Raises Refusal NO_SUPERVISOR where nobody listens; a connection would take long to say so."""
        if why := reach.closed(self.host, self.port):
            raise reach.unreachable(self, why)

    def comes_back(self, limit_s: float) -> bool:
        """Wait until somebody listens again who lets us in; whether somebody does."""
        clock = SystemClock()
        end_us = clock.mono_us() + int(limit_s * SECOND_US)
        while wrong := reach.trouble(self):
            if wrong.reason is RefusalReason.TLS_FAILED or clock.mono_us() > end_us:
                return False
            time.sleep(LOOK_EVERY_S)
        return True

    def is_open(self) -> bool:
        """Whether a connection that broke is none that matters: its time was over, and there can be another."""
        return self.comes_back(0)

    def nobody(self) -> Refusal:
        """What it means that a connection broke, or came to nothing: looked at once more, to say why."""
        return reach.explain(self)


def to_address(addr: str, tls: Tls | None) -> TcpWay:
    """The way to HOST:PORT. Raises Refusal BAD_VALUE for what is none, and for files that are no good.

    Without TLS only to this machine: anybody on the way could read and change what is sent.
    """
    host, port = _parsed(addr)
    if tls is None and not is_loopback(host):
        message = f"without TLS only the loopback is gone to, not {addr}: anybody on the way could read and change it"
        hint = "give --tls-ca-cert with the authority that signed its certificate"
        raise Refusal(RefusalReason.BAD_VALUE, message, hint)
    return TcpWay(host, port, None if tls is None else tls_files.read(tls))


def _parsed(addr: str) -> tuple[str, int]:
    """Host and port; localhost is 127.0.0.1, as it is for who listens."""
    with suppress(ValueError):
        if found := ADDRESS.fullmatch(addr):
            host, port = found["host"], int(found["port"])
            if host.startswith("["):
                host = str(ipaddress.IPv6Address(host.strip("[]")))
            if port in PORTS:
                return ("127.0.0.1" if host.lower() == "localhost" else host), port
    raise Refusal(RefusalReason.BAD_VALUE, f"not an address: {quoted(addr)}", ADDRESS_HINT)


def is_loopback(host: str) -> bool:
    """Whether it is an address of this machine only. Names are not looked up."""
    with suppress(ValueError):
        return ipaddress.ip_address(host).is_loopback
    return False
