"""What the supervisor hands a new executor over its boot pipe."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass, field
from typing import Any

from ..proto.profiles import Profile


@dataclass(frozen=True, slots=True, kw_only=True)
class Boot:
    """An executor's identity and settings. `link` is the socket it attaches to, `socket` the one tasks may use.

    `home` is the folder without which nobody can ever want what we hold: the state folder, else that of `link`.
    """

    executor_id: str
    secret: str = field(repr=False)
    link: str
    socket: str
    data_key: bytes | None = field(default=None, repr=False)
    """What output is sealed under; None: it is kept as it is."""
    slots: int
    shell: str
    runner_idle_s: float
    profiles: dict[str, Profile]
    version: str
    async_calls: int = 1000
    """So many calls of async functions may be here at the same time."""
    spool_bytes: int = 1 << 30
    """So much output may wait in a file while no supervisor is there; 0: none."""
    several_users: bool = False
    """Whether each task is run as the user that its assignment names."""
    home: str = ""
    homeless_s: float = 60.0
    """A home that is still gone after so long will not come back; a folder that is being replaced is sooner."""

    @classmethod
    def of_dict(cls, values: dict[str, Any]) -> Boot:
        """Read the plain values of JSON."""
        profiles = [Profile.of_dict(profile) for profile in values["profiles"]] or [Profile()]
        home = values.get("home") or os.path.dirname(values["link"])
        key = bytes.fromhex(values.get("data_key", "")) or None
        named = {profile.name: profile for profile in profiles}
        return cls(**{**values, "home": home, "data_key": key, "profiles": named})

    @classmethod
    def read(cls, fd: int) -> Boot:
        """Read JSON from a descriptor to its end, and close it."""
        with os.fdopen(fd, "rb") as file:
            return cls.of_dict(json.load(file))
