"""Listening on TCP: which address was asked for, under which certificates, and what to know about it.

Without certificates only this machine's own users may be there: the loopback. Files are read and understood before
anything is started, so that what is wrong with one is told by its name.
"""

from __future__ import annotations

import ipaddress
import os
import re
import stat
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..proto.checks import quoted
from ..proto.clock import SECOND_US
from ..proto.errors import Refusal, RefusalReason
from ..store import model

if TYPE_CHECKING:
    from cryptography.x509 import Certificate

    from .config import Config

ADDRESS = re.compile(r"(?P<host>\[[0-9A-Fa-f:.]+\]|[^:\[\]]+):(?P<port>[0-9]{1,5})", re.ASCII)
ADDRESS_HINT = "write HOST:PORT, such as 127.0.0.1:50051: an IP address or localhost, and a port from 1 to 65535"
PORTS = range(1, 65_536)
FILE_LIMIT = 1 << 20
SOON = timedelta(days=14)
OTHERS_READ = 0o004


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """What flags, or a configuration, say of it. Empty: nothing."""

    addr: str = ""
    tls_cert: str = ""
    tls_key: str = ""
    tls_ca_cert: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Tls:
    """Under which certificates; with `ca_cert` clients have to show one that it signed."""

    cert: Path
    key: Path
    ca_cert: Path | None


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
class Pems:
    """What the files of a `Tls` hold."""

    cert: bytes
    key: bytes
    ca_cert: bytes | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Way:
    """A TCP address to listen at, with all that takes."""

    listen: Listen
    pems: Pems | None


def prepared(flags: Wish, config: Config) -> Way | None:
    """Where to listen and what it takes, read; None when nobody asked for it. Raises Refusal BAD_VALUE."""
    listen = wanted(flags, configured(config))
    return Way(listen=listen, pems=read(listen.tls) if listen.tls else None) if listen else None


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


def read(tls: Tls) -> Pems:
    """The files, read and understood. Raises Refusal BAD_VALUE naming the one that is no good."""
    pems = Pems(cert=_read(tls.cert), key=_read(tls.key), ca_cert=_read(tls.ca_cert) if tls.ca_cert else None)
    [leaf, *_] = certificates(pems.cert, tls.cert)
    if tls.ca_cert and pems.ca_cert is not None:
        certificates(pems.ca_cert, tls.ca_cert)
    if _private_key(pems.key, tls.key).public_key() != leaf.public_key():
        message = f"the key in {tls.key} does not belong to the certificate in {tls.cert}"
        raise Refusal(RefusalReason.BAD_VALUE, message, "give the two that belong together")
    return pems


def _read(path: Path) -> bytes:
    try:
        with open(path, "rb", opener=_at_once) as file:
            regular = stat.S_ISREG(os.fstat(file.fileno()).st_mode)
            data = file.read(FILE_LIMIT + 1) if regular else b""
    except OSError as error:
        raise Refusal(RefusalReason.BAD_VALUE, f"cannot read {path}: {error.strerror}", "give a PEM file") from None
    if not regular:
        raise Refusal(RefusalReason.BAD_VALUE, f"{path} is no file that can be read again", "give a PEM file")
    if len(data) > FILE_LIMIT:
        raise Refusal(RefusalReason.BAD_VALUE, f"{path} is larger than {FILE_LIMIT} bytes", "give a PEM file")
    return data


def _at_once(path: str, flags: int) -> int:
    """Open it without waiting for whoever is at the other end of a pipe."""
    return os.open(path, flags | os.O_NONBLOCK)


def certificates(pem: bytes, path: Path) -> list[Certificate]:
    """All certificates of a file, at least one. Raises Refusal BAD_VALUE."""
    from cryptography import x509  # noqa: PLC0415 - dear to load, and few need it

    with suppress(ValueError):
        if found := x509.load_pem_x509_certificates(pem):
            return found
    raise Refusal(RefusalReason.BAD_VALUE, f"{path} holds no certificate", "give a PEM file: -----BEGIN CERTIFICATE")


def _private_key(pem: bytes, path: Path) -> Any:
    from cryptography.exceptions import UnsupportedAlgorithm  # noqa: PLC0415 - as above
    from cryptography.hazmat.primitives.serialization import load_pem_private_key  # noqa: PLC0415

    try:
        return load_pem_private_key(pem, None)
    except TypeError:
        message = f"the key in {path} is protected by a password"
        raise Refusal(RefusalReason.BAD_VALUE, message, "give one without; nobody is there to type it") from None
    except (ValueError, UnsupportedAlgorithm):
        message = f"{path} holds no private key"
        raise Refusal(RefusalReason.BAD_VALUE, message, "give a PEM file: -----BEGIN PRIVATE KEY") from None


def findings(listen: Listen, now_us: int) -> Iterator[model.Finding]:
    """What whoever runs the service should know of it."""
    if listen.tls is None:
        yield _notice(
            listen.address,
            "every user of this machine can use this port, and run commands as this one: it asks nobody who they are",
            "only the Unix socket is this user's own; --tls-ca-cert asks for certificates",
        )
        return
    if listen.tls.ca_cert is None:
        yield _notice(
            listen.address,
            "whoever reaches this port can run commands: clients are not asked for a certificate",
            "--tls-ca-cert lets in only who has one",
        )
    yield from _file_findings(listen.tls, datetime.fromtimestamp(now_us / SECOND_US, UTC))


def _file_findings(tls: Tls, now: datetime) -> Iterator[model.Finding]:
    with suppress(OSError):
        if os.stat(tls.key).st_mode & OTHERS_READ:
            yield _notice(str(tls.key), "everybody on this machine can read the private key", f"chmod 600 {tls.key}")
    for path in filter(None, (tls.cert, tls.ca_cert)):
        try:
            until = certificates(_read(path), path)[0].not_valid_after_utc
        except Refusal as refusal:
            yield model.Finding(severity="problem", object=str(path), message=refusal.message, hint=refusal.hint)
            continue
        if until < now + SOON:
            yield _expiry(path, until, now)


def _expiry(path: Path, until: datetime, now: datetime) -> model.Finding:
    when = f"{until:%Y-%m-%d %H:%M} UTC"
    message = f"the certificate ended on {when}" if until < now else f"the certificate ends on {when}"
    severity = "problem" if until < now else "notice"
    return model.Finding(
        severity=severity, object=str(path), message=message, hint="renew it, then tsched up --replace"
    )


def _notice(about: str, message: str, hint: str) -> model.Finding:
    return model.Finding(severity="notice", object=about, message=message, hint=hint)
