"""Reading PEM files: whole, at once, and of no size that a certificate cannot have."""

from __future__ import annotations

import os
import stat
from pathlib import Path

from .errors import Refusal, RefusalReason

FILE_LIMIT = 1 << 20


def read_file(path: Path) -> bytes:
    """All of a regular file. Raises Refusal BAD_VALUE naming it."""
    try:
        with open(path, "rb", opener=_at_once) as file:
            regular = stat.S_ISREG(os.fstat(file.fileno()).st_mode)
            data = file.read(FILE_LIMIT + 1) if regular else b""
    except (OSError, ValueError) as error:
        why = getattr(error, "strerror", None) or str(error)
        raise Refusal(RefusalReason.BAD_VALUE, f"cannot read {path}: {why}", "give a PEM file") from None
    if not regular:
        raise Refusal(RefusalReason.BAD_VALUE, f"{path} is no file that can be read again", "give a PEM file")
    if len(data) > FILE_LIMIT:
        raise Refusal(RefusalReason.BAD_VALUE, f"{path} is larger than {FILE_LIMIT} bytes", "give a PEM file")
    return data


def _at_once(path: str, flags: int) -> int:
    """Open it without waiting for whoever is at the other end of a pipe."""
    return os.open(path, flags | os.O_NONBLOCK | os.O_CLOEXEC)


def no_certificate(path: Path) -> Refusal:
    """What it means that a file holds no certificate."""
    return Refusal(RefusalReason.BAD_VALUE, f"{path} holds no certificate", "give a PEM file: -----BEGIN CERTIFICATE")


def no_key(path: Path) -> Refusal:
    """What it means that a file holds no private key."""
    return Refusal(RefusalReason.BAD_VALUE, f"{path} holds no private key", "give a PEM file: -----BEGIN PRIVATE KEY")


def locked_key(path: Path) -> Refusal:
    """What it means that a private key needs a password."""
    message = f"the key in {path} is protected by a password"
    return Refusal(RefusalReason.BAD_VALUE, message, "give one without; nobody is there to type it")


def strangers(key: Path, cert: Path) -> Refusal:
    """What it means that a key is not that of a certificate."""
    message = f"the key in {key} does not belong to the certificate in {cert}"
    return Refusal(RefusalReason.BAD_VALUE, message, "give the two that belong together")
