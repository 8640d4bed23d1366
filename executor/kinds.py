"""What tells runners apart: who may run on which."""

from __future__ import annotations

from typing import NamedTuple


class Kind(NamedTuple):
    """A profile; of a function host also the code it runs, and whether for many calls at a time; and for which user.

    `uid` None: for the one who runs the service.
    """

    profile: str
    source: str = ""
    generation: int = 0
    shared: bool = False
    uid: int | None = None

    @property
    def host(self) -> bool:
        """Whether it runs functions."""
        return bool(self.source)
