"""Where the service is that a program means: the same places as the command line looks at. Loads no gRPC."""

from __future__ import annotations

import os
from pathlib import Path

from ..proto import endpoint, presence

StrPath = str | os.PathLike[str]


def socket_of(socket: StrPath | None = None, state_dir: StrPath | None = None) -> Path:
    """The socket that is named, else that of a state folder, else TSCHED_SOCKET, else that of the default folder.

    Where a folder is meant, its holder is asked: a service that was started in another environment (by systemd, or in
    a session that is over) may listen elsewhere. Raises Refusal for a path that is no socket's.
    """
    if socket is not None:
        return endpoint.check_socket_path(Path(socket).absolute())
    named = os.environ.get("TSCHED_SOCKET")
    if named and state_dir is None:
        return endpoint.check_socket_path(Path(named).absolute())
    return _of_folder(Path(state_dir) if state_dir is not None else endpoint.default_state_dir())


def _of_folder(folder: Path) -> Path:
    path = endpoint.check_socket_path(endpoint.default_socket(folder))
    if presence.accepts(path):
        return path
    holding = presence.holder(presence.state_lock(folder))
    return Path(holding.socket) if holding and holding.socket else path
