"""Where the service is that is meant, by a program or by the command line. Loads no gRPC."""

from __future__ import annotations

import os
from pathlib import Path

from ..proto import endpoint, presence
from ..proto.errors import Refusal, RefusalReason
from .tls import StrPath, Tls
from .ways import Way, as_way


def folder_of(state_dir: StrPath | None = None) -> Path:
    """The state folder that is meant: what is named, else the default.

    Raises Refusal STATE_DIR_UNUSABLE for a name that SQLite cannot be given.
    """
    folder = Path(state_dir or endpoint.default_state_dir())
    try:
        os.fspath(folder).encode()
    except UnicodeEncodeError:
        message = f"the state folder {os.fspath(folder)!r} is not valid UTF-8"
        raise Refusal(RefusalReason.STATE_DIR_UNUSABLE, message, "choose another with --state-dir") from None
    return folder


def way_of(
    socket: StrPath | None = None, state_dir: StrPath | None = None, addr: str | None = None, tls: Tls | None = None
) -> Way:
    """The way to the service: what is named, else what the environment names, else that of the default folder.

    TSCHED_SOCKET goes before TSCHED_ADDR: within a task it names the service that the task is one of. Files that `tls`
    does not name may be named in the environment, too. Raises Refusal for what contradicts itself, is no address, or
    names files that are no good.
    """
    if addr and (socket or state_dir):
        message = f"both an address and {'a socket' if socket else 'a state folder'} are given"
        raise Refusal(RefusalReason.BAD_USAGE, message, "the service is at one place: give one of them")
    found = addr or address_meant(socket, state_dir)
    if found:
        from .tcp_way import to_address  # noqa: PLC0415 - a local command does without

        return to_address(found, _with_environment(tls))
    if tls is not None:
        message = "--tls-ca-cert and its like are for TCP"
        raise Refusal(RefusalReason.BAD_USAGE, message, "give an --addr, too, or TSCHED_ADDR")
    return as_way(socket_of(socket, state_dir))


def address_meant(socket: StrPath | None, state_dir: StrPath | None) -> str:
    """What TSCHED_ADDR says, where it counts; empty: a socket is meant."""
    if socket or state_dir or os.environ.get("TSCHED_SOCKET"):
        return ""
    return os.environ.get("TSCHED_ADDR", "")


def _with_environment(tls: Tls | None) -> Tls | None:
    """The files that are named, each that is not as the environment has it; None: no TLS.

    Raises Refusal BAD_USAGE where there is nothing to know the service by.
    """
    named = tls or Tls("")
    ca_cert, cert, key = (
        each or os.environ.get(f"TSCHED_TLS_{name}") or ""
        for name, each in zip(("CA_CERT", "CERT", "KEY"), named, strict=True)
    )
    if ca_cert:
        return Tls(ca_cert, cert or None, key or None)
    if cert or key:
        message = "a certificate is given, and no authority to know the service by"
        raise Refusal(RefusalReason.BAD_USAGE, message, "give --tls-ca-cert, too")
    return None


def meant(socket: StrPath | None = None, state_dir: StrPath | None = None) -> Path:
    """The socket that is named, else that of a state folder, else TSCHED_SOCKET, else that of the default folder.

    Raises Refusal for a path that is no socket's, or no folder's.
    """
    named = socket or (None if state_dir else os.environ.get("TSCHED_SOCKET"))
    path = Path(named).absolute() if named else endpoint.default_socket(folder_of(state_dir))
    return endpoint.check_socket_path(path)


def socket_of(socket: StrPath | None = None, state_dir: StrPath | None = None) -> Path:
    """The socket to go to: that which is meant, or where the one who holds the state folder says that it listens.

    The two differ where the service was started with another environment, by systemd or in a session that is over.
    Raises what `meant` raises.
    """
    path = meant(socket, state_dir)
    if not by_folder(socket, state_dir) or presence.accepts(path):
        return path
    holding = presence.holder(presence.state_lock(folder_of(state_dir)))
    return Path(holding.socket) if holding and holding.socket else path


def by_folder(socket: StrPath | None = None, state_dir: StrPath | None = None) -> bool:
    """Whether the socket follows from the state folder alone."""
    return not socket and bool(state_dir or not os.environ.get("TSCHED_SOCKET"))
