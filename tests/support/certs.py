"""Certificates for tests: an authority, and what it signs."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from ipaddress import IPv4Address
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from tsched.proto.clock import SECOND_US, SystemClock

if TYPE_CHECKING:
    from collections.abc import Sequence

DAY = timedelta(days=1)
SERVER, CLIENT = ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH
BOTH = (SERVER, CLIENT)


class Pair(NamedTuple):
    """A certificate and its key, as files."""

    cert: Path
    key: Path


class Authority:
    """Signs; `cert` is what others are given to know its signatures by."""

    def __init__(self, folder: Path, name: str = "authority") -> None:
        self._folder = folder
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = _name(name)
        builder = _builder(self._name, self._name, self._key.public_key(), 30 * DAY)
        constraints = x509.BasicConstraints(ca=True, path_length=0)
        signed = builder.add_extension(constraints, critical=True).sign(self._key, hashes.SHA256())
        self.cert = folder / f"{name}.crt"
        self.cert.write_bytes(signed.public_bytes(Encoding.PEM))

    def sign(
        self,
        name: str,
        *,
        until: timedelta = 30 * DAY,
        usages: Sequence[x509.ObjectIdentifier] = BOTH,
        uris: Sequence[str] | None = None,
    ) -> Pair:
        """A certificate for 127.0.0.1 and localhost, good for both ends unless said; its URIs name a client so called."""
        key = ec.generate_private_key(ec.SECP256R1())
        uris = [f"tsched://client/{name}"] if uris is None else uris
        here = [x509.IPAddress(IPv4Address("127.0.0.1")), x509.DNSName("localhost")]
        names = x509.SubjectAlternativeName([*here, *map(x509.UniformResourceIdentifier, uris)])
        usage = x509.ExtendedKeyUsage(usages)
        builder = _builder(_name(name), self._name, key.public_key(), until)
        builder = builder.add_extension(names, critical=False).add_extension(usage, critical=False)
        pair = Pair(self._folder / f"{name}.crt", self._folder / f"{name}.key")
        pair.cert.write_bytes(builder.sign(self._key, hashes.SHA256()).public_bytes(Encoding.PEM))
        pair.key.touch(mode=0o600)
        pair.key.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
        return pair


def _name(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])


def _builder(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePublicKey, until: timedelta
) -> x509.CertificateBuilder:
    now = datetime.fromtimestamp(SystemClock().now_us() / SECOND_US, UTC)
    builder = x509.CertificateBuilder().subject_name(subject).issuer_name(issuer).public_key(key)
    serial = x509.random_serial_number()
    return builder.serial_number(serial).not_valid_before(now - 60 * DAY).not_valid_after(now + until)
