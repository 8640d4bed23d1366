"""The files of a listener under TLS: read and understood, so that what is wrong with one is told by its name."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..proto import pem
from ..proto.pem import read_file

if TYPE_CHECKING:
    from cryptography.x509 import Certificate


@dataclass(frozen=True, slots=True, kw_only=True)
class Tls:
    """Under which certificates; with `ca_cert` clients have to show one that it signed."""

    cert: Path
    key: Path
    ca_cert: Path | None

    @property
    def files(self) -> list[Path]:
        """All of them."""
        return [self.cert, self.key, *([self.ca_cert] if self.ca_cert else [])]


@dataclass(frozen=True, slots=True, kw_only=True)
class Pems:
    """What the files of a `Tls` hold."""

    cert: bytes
    key: bytes
    ca_cert: bytes | None


def read(tls: Tls) -> Pems:
    """The files, read and understood. Raises Refusal BAD_VALUE naming the one that is no good."""
    ca_cert = read_file(tls.ca_cert) if tls.ca_cert else None
    pems = Pems(cert=read_file(tls.cert), key=read_file(tls.key), ca_cert=ca_cert)
    [leaf, *_] = certificates(pems.cert, tls.cert)
    if tls.ca_cert and pems.ca_cert is not None:
        certificates(pems.ca_cert, tls.ca_cert)
    if _private_key(pems.key, tls.key).public_key() != leaf.public_key():
        raise pem.strangers(tls.key, tls.cert)
    return pems


def certificates(data: bytes, path: Path) -> list[Certificate]:
    """All certificates of a file, at least one. Raises Refusal BAD_VALUE."""
    from cryptography import x509  # noqa: PLC0415 - dear to load, and few need it

    with suppress(ValueError):
        if found := x509.load_pem_x509_certificates(data):
            return found
    raise pem.no_certificate(path)


def _private_key(data: bytes, path: Path) -> Any:
    from cryptography.exceptions import UnsupportedAlgorithm  # noqa: PLC0415 - as above
    from cryptography.hazmat.primitives.serialization import load_pem_private_key  # noqa: PLC0415

    try:
        return load_pem_private_key(data, None)
    except TypeError:
        raise pem.locked_key(path) from None
    except (ValueError, UnsupportedAlgorithm):
        raise pem.no_key(path) from None
