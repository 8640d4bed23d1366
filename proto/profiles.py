"""Profiles: named sets of limits and priorities, as configured, and as handed to executors and runners."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any

IO_CLASSES = ("none", "idle", "best_effort", "realtime")

# name of a limit -> name of the psutil (and getrlimit(2)) constant
LIMITS = {
    "address_space_bytes": "RLIMIT_AS",
    "core_bytes": "RLIMIT_CORE",
    "cpu_s": "RLIMIT_CPU",
    "data_bytes": "RLIMIT_DATA",
    "file_size_bytes": "RLIMIT_FSIZE",
    "open_files": "RLIMIT_NOFILE",
    "processes": "RLIMIT_NPROC",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Profile:
    """What every task of a profile is run under.

    `nice` is the least niceness (0 to 19 without privilege); `io_level` goes from 0 (first) to 7; an empty
    `cpu_affinity` means all processors; `limits` are rlimits by the names of `LIMITS`, lowered to the hard limit.
    """

    name: str = "default"
    nice: int = 0
    io_class: str = "none"
    io_level: int = 4
    cpu_affinity: tuple[int, ...] = ()
    limits: dict[str, int] = field(default_factory=dict)

    def as_dict(self) -> dict[str, Any]:
        """Plain values, for JSON."""
        return asdict(self)

    @classmethod
    def of_dict(cls, values: dict[str, Any]) -> Profile:
        """Read what `as_dict` gave."""
        return cls(**{**values, "cpu_affinity": tuple(values.get("cpu_affinity", ()))})
