"""Where the service is that is meant, by a program or by the command line. Loads no gRPC."""

from __future__ import annotations

import os
from pathlib import Path

from ..proto import endpoint, presence
from ..proto.errors import Refusal, RefusalReason

StrPath = str | os.PathLike[str]


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
