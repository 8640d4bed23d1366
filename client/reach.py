"""Why a service on TCP is not reached, found by going there once more without gRPC, which says little of it."""

from __future__ import annotations

import socket
import time
from contextlib import suppress
from typing import TYPE_CHECKING

from ..proto.clock import SECOND_US, SystemClock
from ..proto.errors import Refusal, RefusalReason
from .tls import context

if TYPE_CHECKING:
    import ssl
    from datetime import datetime

    from .tcp_way import TcpWay
    from .tls import Tls

CONNECT_S = 5.0
"""Longest wait for a connection, and then for the first word on it."""
LOOKS, BETWEEN_LOOKS_S = 3, 0.1
PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0"
"""What a client of HTTP/2 begins with: the fixed words and empty settings."""
UNKNOWN_ISSUER = {2, 18, 19, 20, 21}
NOT_YET, ENDED = 9, 10
OTHER_NAME = {62, 64}
"""X509_V_ERR_* of OpenSSL."""


def closed(host: str, port: int) -> str:
    """Why nobody can be connected to; empty: somebody can."""
    try:
        with socket.create_connection((host, port), timeout=CONNECT_S):
            return ""
    except OSError as error:
        return _words(error)


def explain(way: TcpWay) -> Refusal:
    """What it means that nobody answered, or the connection broke."""
    message = f"the connection to the supervisor at {way} broke"
    return trouble(way) or Refusal(RefusalReason.NO_SUPERVISOR, message, "it answers again: try again")


def trouble(way: TcpWay) -> Refusal | None:
    """What keeps us from being answered there; None: nothing.

    A service that ends just then hangs up as well: that it does not let us in is believed when it did so repeatedly.
    """
    for _ in range(LOOKS):
        try:
            return _looked(way)
        except _HungUp:
            time.sleep(BETWEEN_LOOKS_S)
    return _turned_away(way)


class _HungUp(Exception):  # noqa: N818 - it is what happened
    """The other side ended the connection without a word."""


def _looked(way: TcpWay) -> Refusal | None:
    try:
        with socket.create_connection((way.host, way.port), timeout=CONNECT_S) as bare:
            return _tried(way, bare)
    except ConnectionError as error:
        if isinstance(error, ConnectionRefusedError):
            return unreachable(way, _words(error))
        raise _HungUp from error
    except OSError as error:
        return unreachable(way, _words(error))


def unreachable(way: TcpWay, why: str) -> Refusal:
    """What it means that nobody listens there."""
    hint = "is the service up, and told to listen there? it would have to be started on that machine"
    return Refusal(RefusalReason.NO_SUPERVISOR, f"no supervisor is reached at {way}: {why}", hint)


def _words(error: OSError) -> str:
    return "timed out" if isinstance(error, TimeoutError) else error.strerror or str(error)


def _tried(way: TcpWay, bare: socket.socket) -> Refusal | None:
    """Why they do not come together; None: they do. Raises _HungUp."""
    if way.trust is not None:
        return _try_secure(way, bare, way.trust.files)
    _try_plain(bare)
    return None


def _try_plain(bare: socket.socket) -> None:
    """Raises _HungUp where it does not go on without TLS."""
    bare.sendall(PREFACE)
    if bare.recv(1) != b"\0":  # the first frame of HTTP/2 is no longer than 64 KiB
        raise _HungUp


def _try_secure(way: TcpWay, bare: socket.socket, files: Tls) -> Refusal | None:
    """Why they do not come together under TLS; None: they do."""
    import ssl  # noqa: PLC0415 - only where there is TLS

    going = context(files)
    going.set_alpn_protocols(["h2"])
    try:
        with going.wrap_socket(bare, server_hostname=way.host) as secure:
            if secure.recv(1):
                return None
    except ssl.SSLCertVerificationError as error:
        return _not_believed(way, files, error)
    except ssl.SSLError as error:
        if "WRONG_VERSION" in str(error.reason):
            return _refusal(f"{way} does not speak TLS", "leave out --tls-ca-cert, or is it another port?")
        raise _HungUp from error
    raise _HungUp


def _not_believed(way: TcpWay, files: Tls, error: ssl.SSLCertVerificationError) -> Refusal:
    """Why the certificate of the service is not good enough for us."""
    what = f"the certificate of the service at {way}"
    if error.verify_code in UNKNOWN_ISSUER:
        return _refusal(f"{what} was not signed by the authority in {files.ca_cert}", "give the --tls-ca-cert it has")
    if error.verify_code in OTHER_NAME:
        return _refusal(f"{what} is not for {way.host}", "go to a name or address that it holds")
    if error.verify_code in (NOT_YET, ENDED):
        when = "has ended" if error.verify_code == ENDED else "is not valid yet"
        return _refusal(f"{what} {when}", "it has to be renewed there, or is a clock wrong?")
    return _refusal(f"{what} is not good: {error.verify_message}", "")


def _turned_away(way: TcpWay) -> Refusal:
    """Why we are not good enough for the service, as far as that can be known: it only hangs up."""
    if way.trust is None:
        return _refusal(f"{way} does not answer without TLS", "if the service has a certificate: give --tls-ca-cert")
    own = way.trust.files.cert
    if own is None:
        message = f"the service at {way} ends the connection: it lets in only who shows a certificate"
        return _refusal(message, "give --tls-cert and --tls-key")
    wrong = _wrong_with(way.trust.cert or b"")
    why = f"it {wrong}" if wrong else "it was not signed by whom the service trusts, or is not trusted any more"
    return _refusal(f"the service at {way} does not accept the certificate in {own}: {why}", "give another")


def _wrong_with(cert: bytes) -> str:
    """What makes a certificate useless for a client whoever signed it."""
    from cryptography import x509  # noqa: PLC0415 - dear to load, and needed only where all else failed
    from cryptography.x509.oid import ExtendedKeyUsageOID  # noqa: PLC0415

    [own, *_] = x509.load_pem_x509_certificates(cert)
    now = _now()
    if own.not_valid_after_utc < now:
        return "has ended"
    if own.not_valid_before_utc > now:
        return "is not valid yet"
    with suppress(x509.ExtensionNotFound):
        if ExtendedKeyUsageOID.CLIENT_AUTH not in own.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value:
            return "is not one for clients (extended key usage)"
    return ""


def _now() -> datetime:
    from datetime import UTC, datetime  # noqa: PLC0415 - as above

    return datetime.fromtimestamp(SystemClock().now_us() / SECOND_US, UTC)


def _refusal(message: str, hint: str) -> Refusal:
    return Refusal(RefusalReason.TLS_FAILED, message, hint)
