"""Core dumps, which would put keys and commands of the service's memory on the disk."""

from __future__ import annotations

import resource


def no_core_dump() -> None:
    """Have none written of this process; what it starts may allow itself as many as before."""
    _, hard = resource.getrlimit(resource.RLIMIT_CORE)
    resource.setrlimit(resource.RLIMIT_CORE, (0, hard))
