"""Listening on TCP: which address was asked for, under which certificates, and what to know about it.

Without certificates only this machine's own users may be there: the loopback. Files are read and understood before
anything is started, so that what is wrong with one is told by its name.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from ..proto.checks import quoted
from ..proto.errors import Refusal, RefusalReason
from ..store import model
from .pems import Tls
from .renewal import Renewal

if TYPE_CHECKING:
    from .config import Config

ADDRESS = re.compile(r"(?P<host>\[[0-9A-Fa-f:.]+\]|[^:\[\]]+):(?P<port>[0-9]{1,5})", re.ASCII)
ADDRESS_HINT = "write HOST:PORT, such as 127.0.0.1:50051: an IP address or localhost, and a port from 1 to 65535"
PORTS = range(1, 65_536)


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """What flags, or a configuration, say of it. Empty: nothing."""

    addr: str = ""
    tls_cert: str = ""
    tls_key: str = ""
    tls_ca_cert: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Listen:
    """A TCP address to listen at."""

    host: str
    port: int
    tls: Tls | None

    @property
    def address(self) -> str:
        """As it is written."""
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    @property
    def is_loopback(self) -> bool:
        """Whether only this machine reaches it."""
        return ipaddress.ip_address(self.host).is_loopback


@dataclass(frozen=True, slots=True, kw_only=True)
class Way:
    """A TCP address to listen at, with all that takes."""

    listen: Listen
    certificates: Renewal | None = None


def prepared(flags: Wish, config: Config) -> Way | None:
    """Where to listen and what it takes, read; None when nobody asked for it. Raises Refusal BAD_VALUE."""
    listen = wanted(flags, configured(config))
    return Way(listen=listen, certificates=Renewal(listen.tls) if listen.tls else None) if listen else None


def configured(config: Config) -> Wish:
    """What a configuration says."""
    return Wish(
        addr=config.service_addr,
        tls_cert=config.service_tls_cert,
        tls_key=config.service_tls_key,
        tls_ca_cert=config.service_tls_ca_cert,
    )


def wanted(flags: Wish, config: Wish) -> Listen | None:
    """Where to listen; a flag goes before the configuration. Raises Refusal BAD_VALUE with the remedy."""
    addr = flags.addr or config.addr
    tls = _tls(
        flags.tls_cert or config.tls_cert, flags.tls_key or config.tls_key, flags.tls_ca_cert or config.tls_ca_cert
    )
    if not addr:
        if flags.tls_cert or flags.tls_key or flags.tls_ca_cert:
            raise Refusal(RefusalReason.BAD_VALUE, "--tls-cert and its like are for TCP", "give an --addr, too")
        return None
    host, port = parsed(addr)
    listen = Listen(host=host, port=port, tls=tls)
    if tls is None and not listen.is_loopback:
        message = f"without TLS the service listens on the loopback only, not on {addr}: anybody could run commands"
        raise Refusal(RefusalReason.BAD_VALUE, message, "give --tls-cert and --tls-key, or take 127.0.0.1")
    return listen


def parsed(addr: str) -> tuple[str, int]:
    """Host and port; localhost is 127.0.0.1, whatever /etc/hosts says. Raises Refusal BAD_VALUE."""
    with suppress(ValueError):
        if found := ADDRESS.fullmatch(addr):
            host, port = found["host"].strip("[]"), int(found["port"])
            address = ipaddress.ip_address("127.0.0.1" if host.lower() == "localhost" else host)
            if port in PORTS and (address.version == 6) == addr.startswith("["):  # noqa: PLR2004 - IPv6
                return str(address), port
    raise Refusal(RefusalReason.BAD_VALUE, f"not an address to listen at: {quoted(addr)}", ADDRESS_HINT)


def _tls(cert: str, key: str, ca_cert: str) -> Tls | None:
    if not cert and not key and not ca_cert:
        return None
    if not cert or not key:
        missing = "a certificate (--tls-cert)" if not cert else "its key (--tls-key)"
        raise Refusal(RefusalReason.BAD_VALUE, f"TLS needs {missing}", "give --tls-cert and --tls-key together")
    return Tls(cert=Path(cert), key=Path(key), ca_cert=Path(ca_cert) if ca_cert else None)


def findings(way: Way, now_us: int, *, runs: bool = True) -> Iterator[model.Finding]:
    """What whoever runs the service should know of it; `runs`: those who show no certificate may run commands."""
    listen = way.listen
    if way.certificates is None and not runs:
        return
    if way.certificates is None:
        yield _notice(
            listen.address,
            "every user of this machine can use this port, and run commands as this one: it asks nobody who they are",
            "only the Unix socket is this user's own; --tls-ca-cert asks for certificates",
        )
        return
    if way.certificates.tls.ca_cert is None and runs:
        yield _notice(
            listen.address,
            "whoever reaches this port can run commands: clients are not asked for a certificate",
            "--tls-ca-cert lets in only who has one",
        )
    yield from way.certificates.findings(now_us)


def _notice(about: str, message: str, hint: str) -> model.Finding:
    return model.Finding(severity="notice", object=about, message=message, hint=hint)
