"""The certificates of a listener, read anew when their files have changed: those that were good last are in force.

gRPC asks for them on each new connection, in a thread of its own, and accepts nobody meanwhile. So the files are only
looked at, and read when something about them has changed. Whoever replaces them one after the other is seen in between,
with a certificate and a key that do not match, or half of a file: then what was good before stays, and it is said once.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import grpc

from ..proto.clock import SECOND_US
from ..proto.errors import Refusal
from ..store import model
from . import log
from .pems import Pems, Tls, certificates, read

if TYPE_CHECKING:
    from cryptography.x509 import Certificate

Seen = tuple[tuple[int, ...] | None, ...]
SOON = timedelta(days=14)
OTHERS_READ = 0o004


class Renewal:
    """What to show and whom to trust, as the files say, or last said."""

    def __init__(self, tls: Tls) -> None:
        """Raises Refusal BAD_VALUE naming the file that is no good."""
        self.tls = tls
        self._lock = threading.Lock()
        self._seen = _seen(tls)
        self.pems = read(tls)
        self.refusal: Refusal | None = None
        """Why what the files hold now is not in force."""
        self._given: Pems | None = None

    def credentials(self) -> grpc.ServerCredentials:
        """As gRPC takes them; it speaks TLS 1.2 and 1.3."""
        self._given = self.pems
        must_show = self.tls.ca_cert is not None
        return grpc.dynamic_ssl_server_credentials(_configuration(self.pems), self._fetch, must_show)  # type: ignore[arg-type]  # None: no change

    def look(self) -> None:
        """Read the files if something about them has changed."""
        with self._lock:
            seen = _seen(self.tls)  # before they are read: what changes from here on is seen the next time
            if seen != self._seen:
                self._seen = seen
                self._read()

    def _read(self) -> None:
        try:
            self.pems, self.refusal = read(self.tls), None
        except Refusal as refusal:
            self.refusal = refusal
            log.get().error("certificates_refused", error=refusal.message, hint=refusal.hint, kept="the last good ones")
        else:
            [leaf, *_] = certificates(self.pems.cert, self.tls.cert)
            ends = f"{leaf.not_valid_after_utc:%Y-%m-%dT%H:%M:%SZ}"
            log.get().info("certificates_read", cert=str(self.tls.cert), serial=f"{leaf.serial_number:x}", ends=ends)

    def _fetch(self) -> grpc.ServerCertificateConfiguration | None:
        """What gRPC is to use from now on; None: what it has."""
        self.look()
        pems = self.pems
        if pems is self._given:
            return None
        self._given = pems
        return _configuration(pems)

    def findings(self, now_us: int) -> Iterator[model.Finding]:
        """What whoever runs the service should know of them."""
        self.look()
        now = datetime.fromtimestamp(now_us / SECOND_US, UTC)
        with suppress(OSError):
            if os.stat(self.tls.key).st_mode & OTHERS_READ:
                message = "everybody on this machine can read the private key"
                yield _finding("notice", self.tls.key, message, f"chmod 600 {self.tls.key}")
        if refusal := self.refusal:
            message = f"{refusal.message}; those that were good last are in force"
            yield _finding("problem", self.tls.cert, message, refusal.hint)
        pems = self.pems
        yield from _ends(self.tls.cert, certificates(pems.cert, self.tls.cert), now)
        if self.tls.ca_cert and pems.ca_cert is not None:
            yield from _ends_of_authorities(self.tls.ca_cert, certificates(pems.ca_cert, self.tls.ca_cert), now)


def _seen(tls: Tls) -> Seen:
    """What tells whether a file is still the same."""
    return tuple(_seen_of(path) for path in tls.files)


def _seen_of(path: Path) -> tuple[int, ...] | None:
    try:
        found = os.stat(path)
    except OSError:
        return None
    return found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns


def _configuration(pems: Pems) -> grpc.ServerCertificateConfiguration:
    return grpc.ssl_server_certificate_configuration([(pems.key, pems.cert)], pems.ca_cert)


def _ends(path: Path, chain: list[Certificate], now: datetime) -> Iterator[model.Finding]:
    """Nobody trusts a chain one part of which has ended."""
    until = min(each.not_valid_after_utc for each in chain)
    if until < now + SOON:
        yield _end("problem" if until < now else "notice", path, until, now)


def _ends_of_authorities(path: Path, known: list[Certificate], now: datetime) -> Iterator[model.Finding]:
    """One of several that has ended keeps out only those whom it signed for."""
    last = max(each.not_valid_after_utc for each in known)
    for until in sorted({each.not_valid_after_utc for each in known if each.not_valid_after_utc < now + SOON}):
        yield _end("problem" if last < now else "notice", path, until, now)


def _end(severity: str, path: Path, until: datetime, now: datetime) -> model.Finding:
    when = f"{until:%Y-%m-%d %H:%M} UTC"
    message = f"the certificate ended on {when}" if until < now else f"the certificate ends on {when}"
    return _finding(severity, path, message, "put a new one in its place; it is read by itself")


def _finding(severity: str, path: Path, message: str, hint: str) -> model.Finding:
    return model.Finding(severity=severity, object=str(path), message=message, hint=hint)
