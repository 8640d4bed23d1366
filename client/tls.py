"""What a client shows and whom it trusts on TCP: PEM files, read and looked at before anything is sent.

The standard library's ssl understands them; cryptography would cost a command more than everything else it loads.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from ..proto import pem
from ..proto.errors import Refusal, RefusalReason

if TYPE_CHECKING:
    import ssl

StrPath = str | os.PathLike[str]


class Tls(NamedTuple):
    """PEM files: the authority that signed the service's certificate, and one's own certificate with its key."""

    ca_cert: StrPath
    cert: StrPath | None = None
    key: StrPath | None = None


class Trust(NamedTuple):
    """What those files hold, and the files."""

    ca_cert: bytes
    cert: bytes | None
    key: bytes | None
    files: Tls


def read(tls: Tls) -> Trust:
    """The files, read. Raises Refusal BAD_VALUE naming the one that is no good."""
    if (tls.cert is None) != (tls.key is None):
        missing = "a certificate (--tls-cert)" if tls.cert is None else "its key (--tls-key)"
        raise Refusal(RefusalReason.BAD_VALUE, f"TLS needs {missing}", "give --tls-cert and --tls-key together")
    # They may be looked at again, from wherever we are then.
    files = Tls(os.path.abspath(tls.ca_cert), _absolute(tls.cert), _absolute(tls.key))
    trust = Trust(pem.read_file(Path(files.ca_cert)), _file(files.cert), _file(files.key), files)
    context(files)
    return trust


def _absolute(path: StrPath | None) -> str | None:
    return None if path is None else os.path.abspath(path)


def _file(path: StrPath | None) -> bytes | None:
    return None if path is None else pem.read_file(Path(path))


def context(tls: Tls) -> ssl.SSLContext:
    """The same for the standard library. Raises Refusal BAD_VALUE naming the file that is no good."""
    import ssl  # noqa: PLC0415 - only where there is TLS

    made = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    try:
        made.load_verify_locations(cafile=tls.ca_cert)
    except (ssl.SSLError, OSError):
        raise pem.no_certificate(Path(tls.ca_cert)) from None
    if tls.cert is not None and tls.key is not None:
        _load_pair(made, Path(tls.cert), Path(tls.key))
    return made


def _load_pair(into: ssl.SSLContext, cert: Path, key: Path) -> None:
    import ssl  # noqa: PLC0415 - as above

    asked: list[bool] = []

    def password() -> str:
        asked.append(True)
        return ""

    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(cafile=cert)
    except (ssl.SSLError, OSError):
        raise pem.no_certificate(cert) from None
    try:
        into.load_cert_chain(cert, key, password=password)
    except (ssl.SSLError, OSError) as error:
        if asked:
            raise pem.locked_key(key) from None
        matches = "MISMATCH" not in str(getattr(error, "reason", ""))
        raise (pem.no_key(key) if matches else pem.strangers(key, cert)) from None
