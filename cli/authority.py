"""Certificates made and read: an authority of one's own, and what it signs for a service and its clients."""

from __future__ import annotations

import ipaddress
import os
import pwd
import re
import secrets
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TypeVar

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from ..proto import checks, pem
from ..proto.clock import SECOND_US, SystemClock
from ..proto.errors import Refusal, RefusalReason

CLIENT_URI = "tsched://client/"
CLIENT_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}")
LABEL = r"[A-Za-z0-9_]([A-Za-z0-9_-]{0,61}[A-Za-z0-9])?"
HOST_NAME = re.compile(rf"(?=.{{1,253}}\Z){LABEL}(\.{LABEL})*")
OWN_HOSTS = ("127.0.0.1", "::1", "localhost")
SKEW = timedelta(hours=1)
"""So much earlier they are valid, for clocks that are late."""
USAGES = {ExtendedKeyUsageOID.SERVER_AUTH: "services", ExtendedKeyUsageOID.CLIENT_AUTH: "clients"}
USES = [
    "digital_signature",
    "content_commitment",
    "key_encipherment",
    "data_encipherment",
    "key_agreement",
    "key_cert_sign",
    "crl_sign",
    "encipher_only",
    "decipher_only",
]

E = TypeVar("E", bound=x509.ExtensionType)
Signer = tuple[x509.Name, ec.EllipticCurvePrivateKey]
Extension = tuple[x509.ExtensionType, bool]


@dataclass(frozen=True, kw_only=True)
class Made:
    """What was made, and what of it was there before."""

    folder: Path
    hosts: list[str]
    clients: list[str]
    until: datetime
    files: list[Path]
    """Those that were not there before."""

    @property
    def of_server(self) -> dict[str, Path]:
        """What the service is started with."""
        return _named(self.folder, "server")

    def of_client(self, name: str) -> dict[str, Path]:
        """What a client is told."""
        return _named(self.folder, f"client-{name}")

    def as_json(self) -> dict[str, object]:
        """For --json."""
        return {
            "made": [str(path) for path in self.files],
            "ends": _instant(self.until),
            "server": {name: str(path) for name, path in self.of_server.items()} | {"hosts": self.hosts},
            "clients": [
                {"name": name, "uri": f"{CLIENT_URI}{name}"}
                | {kind: str(path) for kind, path in self.of_client(name).items()}
                for name in self.clients
            ],
        }


def _named(folder: Path, name: str) -> dict[str, Path]:
    return {"ca_cert": folder / "ca.crt", "cert": folder / f"{name}.crt", "key": folder / f"{name}.key"}


def host(text: str) -> str:
    """An IP address or a host's name. Raises Refusal BAD_VALUE."""
    with suppress(ValueError):
        return str(ipaddress.ip_address(text.strip("[]")))
    if HOST_NAME.fullmatch(text):
        return text.lower()
    hint = "give a name such as jobs.example.org, or an address, without a port"
    raise Refusal(RefusalReason.BAD_VALUE, f"not a host: {checks.quoted(text)}", hint)


def client_name(text: str) -> str:
    """A name for a client. Raises Refusal BAD_VALUE."""
    if CLIENT_NAME.fullmatch(text):
        return text
    hint = "letters, digits, . _ and - only, at most 64"
    raise Refusal(RefusalReason.BAD_VALUE, f"not a name for a client: {checks.quoted(text)}", hint)


def own_name() -> str:
    """This user's name, as far as a client can have it."""
    with suppress(KeyError):
        if CLIENT_NAME.fullmatch(name := pwd.getpwuid(os.geteuid()).pw_name):
            return name
    return str(os.geteuid())


def make(folder: Path, hosts: list[str], clients: list[str], days: int) -> Made:
    """Make what is missing of authority, service and clients, all of it or nothing. Raises Refusal.

    What is there is never written over: an authority signs more, a service's certificate stays unless hosts are given.
    """
    now = datetime.fromtimestamp(SystemClock().now_us() // SECOND_US, UTC)
    authority, files = _authority(folder, now, now + timedelta(days=days))
    if hosts or not os.path.lexists(folder / "server.crt"):
        hosts = list(dict.fromkeys([*hosts, *OWN_HOSTS]))
        files |= authority.pair(folder / "server", "tsched service", _server_extensions(hosts))
    else:
        hosts = _hosts(folder / "server.crt")
    for name in clients:
        files |= authority.pair(folder / f"client-{name}", name, _client_extensions(name))
    _write(folder, files)
    return Made(folder=folder, hosts=hosts, clients=clients, until=authority.until, files=list(files))


class Authority:
    """Signs."""

    def __init__(self, cert: x509.Certificate, key: ec.EllipticCurvePrivateKey, now: datetime, until: datetime) -> None:
        """What it signs is good from now on, and no longer than the authority itself."""
        self._cert = cert
        self._key = key
        self._now = now
        self.until = min(until, cert.not_valid_after_utc)

    def pair(self, path: Path, name: str, own: list[Extension]) -> dict[Path, bytes]:
        """A certificate and its key, as files that are to be."""
        key = ec.generate_private_key(ec.SECP256R1())
        known = x509.AuthorityKeyIdentifier.from_issuer_public_key(self._key.public_key())
        extensions: list[Extension] = [
            (x509.BasicConstraints(ca=False, path_length=None), True),
            (_uses("digital_signature"), True),
            (known, False),
            *own,
        ]
        cert = _signed(_name(name), key, (self._cert.subject, self._key), (self._now, self.until), extensions)
        return _as_files(path, cert, key)


def _authority(folder: Path, now: datetime, until: datetime) -> tuple[Authority, dict[Path, bytes]]:
    """The one that is there, or a new one with its files."""
    cert_path, key_path = folder / "ca.crt", folder / "ca.key"
    if os.path.lexists(cert_path) and os.path.lexists(key_path):
        return _read_authority(cert_path, key_path, now, until), {}
    key = ec.generate_private_key(ec.SECP256R1())
    name = _name(f"tsched authority {secrets.token_hex(4)}")  # its own: two of one name in a bundle are mistaken
    extensions: list[Extension] = [
        (x509.BasicConstraints(ca=True, path_length=0), True),
        (_uses("key_cert_sign", "crl_sign"), True),
    ]
    cert = _signed(name, key, (name, key), (now, until), extensions)
    return Authority(cert, key, now, until), _as_files(folder / "ca", cert, key)


def _read_authority(cert_path: Path, key_path: Path, now: datetime, until: datetime) -> Authority:
    [cert, *_] = _certificates(pem.read_file(cert_path), cert_path)
    try:
        key = load_pem_private_key(pem.read_file(key_path), None)
    except (ValueError, TypeError):
        raise pem.no_key(key_path) from None
    if key.public_key() != cert.public_key() or not isinstance(key, ec.EllipticCurvePrivateKey):
        raise pem.strangers(key_path, cert_path)
    if cert.not_valid_after_utc < now:
        message = f"the authority in {cert_path} ended on {_instant(cert.not_valid_after_utc)}"
        raise Refusal(RefusalReason.WRONG_STATE, message, "make a new one in another folder")
    return Authority(cert, key, now, until)


def _signed(
    subject: x509.Name,
    key: ec.EllipticCurvePrivateKey,
    by: Signer,
    valid: tuple[datetime, datetime],
    extensions: list[Extension],
) -> x509.Certificate:
    issuer, signing_key = by
    builder = x509.CertificateBuilder().subject_name(subject).issuer_name(issuer).public_key(key.public_key())
    builder = builder.serial_number(x509.random_serial_number())
    builder = builder.not_valid_before(valid[0] - SKEW).not_valid_after(valid[1])
    for extension, critical in [*extensions, (x509.SubjectKeyIdentifier.from_public_key(key.public_key()), False)]:
        builder = builder.add_extension(extension, critical=critical)
    return builder.sign(signing_key, hashes.SHA256())


def _name(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])


def _uses(*uses: str) -> x509.KeyUsage:
    return x509.KeyUsage(**{use: use in uses for use in USES})


def _server_extensions(hosts: list[str]) -> list[Extension]:
    names = [_general(each) for each in hosts]
    usage = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH])
    return [(usage, False), (x509.SubjectAlternativeName(names), False)]


def _hosts(server: Path) -> list[str]:
    """Those that a certificate is for."""
    [cert, *_] = _certificates(pem.read_file(server), server)
    return [str(name.value) for name in _of(cert, x509.SubjectAlternativeName) or ()]


def _general(text: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(text))
    except ValueError:
        return x509.DNSName(text)


def _client_extensions(name: str) -> list[Extension]:
    """Exactly one name: who it is for the service."""
    uri = x509.UniformResourceIdentifier(f"{CLIENT_URI}{name}")
    usage = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CLIENT_AUTH])
    return [(usage, False), (x509.SubjectAlternativeName([uri]), False)]


def _as_files(path: Path, cert: x509.Certificate, key: ec.EllipticCurvePrivateKey) -> dict[Path, bytes]:
    return {
        path.with_name(f"{path.name}.crt"): cert.public_bytes(Encoding.PEM),
        path.with_name(f"{path.name}.key"): key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()),
    }


def _write(folder: Path, files: dict[Path, bytes]) -> None:
    """All of them, new, or none. Raises Refusal."""
    written: list[Path] = []
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        for path, data in files.items():
            mode = 0o600 if path.suffix == ".key" else 0o644
            with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, mode), "wb") as file:
                written.append(path)
                file.write(data)
    except OSError as error:
        for path in written:
            path.unlink(missing_ok=True)
        raise _unwritten(error, folder) from None


def _unwritten(error: OSError, folder: Path) -> Refusal:
    if isinstance(error, FileExistsError):
        hint = "nothing is written over: move it away, or name another folder, or another --client"
        return Refusal(RefusalReason.WRONG_STATE, f"{error.filename} is there already", hint)
    message = f"cannot write {error.filename or folder}: {error.strerror}"
    return Refusal(RefusalReason.BAD_VALUE, message, "name another folder")


def told(data: bytes, path: Path) -> list[dict[str, object]]:
    """What the certificates of a file say. Raises Refusal BAD_VALUE."""
    now = datetime.fromtimestamp(SystemClock().now_us() / SECOND_US, UTC)
    return [_told(each, now) for each in _certificates(data, path)]


def _certificates(data: bytes, path: Path) -> list[x509.Certificate]:
    with suppress(ValueError):
        if found := x509.load_pem_x509_certificates(data):
            return found
    raise pem.no_certificate(path)


def _told(cert: x509.Certificate, now: datetime) -> dict[str, object]:
    usage, constraints = _of(cert, x509.ExtendedKeyUsage), _of(cert, x509.BasicConstraints)
    names = _of(cert, x509.SubjectAlternativeName)
    return {
        "subject": cert.subject.rfc4514_string(),
        "names": [f"{_kind(name)}:{name.value}" for name in names or ()],
        "issuer": cert.issuer.rfc4514_string(),
        "valid_from": _instant(cert.not_valid_before_utc),
        "valid_until": _instant(cert.not_valid_after_utc),
        "valid_now": cert.not_valid_before_utc <= now <= cert.not_valid_after_utc,
        "authority": bool(constraints is not None and constraints.ca),
        "for": [USAGES.get(each, each.dotted_string) for each in usage or ()],
        "serial": f"{cert.serial_number:x}",
    }


def _of(cert: x509.Certificate, kind: type[E]) -> E | None:
    try:
        return cert.extensions.get_extension_for_class(kind).value
    except (x509.ExtensionNotFound, ValueError):
        return None


def _kind(name: x509.GeneralName) -> str:
    kinds = {x509.DNSName: "dns", x509.IPAddress: "ip", x509.UniformResourceIdentifier: "uri"}
    return kinds.get(type(name), "other")


def _instant(at: datetime) -> str:
    return f"{at:%Y-%m-%dT%H:%M:%SZ}"
