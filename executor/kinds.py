"""What tells runners apart: who may run on which."""

from __future__ import annotations

from typing import NamedTuple


class Kind(NamedTuple):
    """A profile; of a function host also the code it runs, and whether for many calls at a time."""

    profile: str
    source: str = ""
    generation: int = 0
    shared: bool = False

    @property
    def host(self) -> bool:
        """Whether it runs functions."""
        return bool(self.source)
