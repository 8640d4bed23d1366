"""TCP ports for tests."""

from __future__ import annotations

import socket


def free() -> int:
    """A port of the loopback that nobody uses just now."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
