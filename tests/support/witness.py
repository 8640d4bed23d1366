"""Commands that testify. They write their own start and end; tests believe these lines, not the database.

Each line is one write to a file opened with O_APPEND, so lines of any number of processes stay whole.
"""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from typing import TYPE_CHECKING

from support.wait import until

if TYPE_CHECKING:
    from pathlib import Path


@dataclass(frozen=True, slots=True)
class Line:
    """One testimony."""

    what: str
    name: str
    pid: int
    at_s: float


@dataclass(frozen=True, slots=True)
class Witness:
    """A file that commands write to."""

    path: Path

    def command(self, name: str, body: str = ":") -> str:
        """A shell string that testifies its start, does the body, testifies its end and exits as the body did."""
        return f"{self._write('start', name)}; ( {body}\n); code=$?; {self._write('end', name)}; exit $code"

    def _write(self, what: str, name: str) -> str:
        return f'echo {what} {shlex.quote(name)} $$ "$(date +%s.%N)" >> {shlex.quote(str(self.path))}'

    def lines(self) -> list[Line]:
        """All testimony so far, in the order it was given."""
        text = self.path.read_text() if self.path.exists() else ""
        return [Line(what, name, int(pid), float(at)) for what, name, pid, at in map(str.split, text.splitlines())]

    def starts(self, name: str) -> list[Line]:
        return [line for line in self.lines() if (line.what, line.name) == ("start", name)]

    def ends(self, name: str) -> list[Line]:
        return [line for line in self.lines() if (line.what, line.name) == ("end", name)]

    def wait_start(self, name: str, *, timeout_s: float = 10.0) -> Line:
        """The first start of that name."""
        return until(lambda: self.starts(name), timeout_s=timeout_s, what=f"{name} has started")[0]

    def wait_end(self, name: str, *, timeout_s: float = 10.0) -> Line:
        """The first end of that name."""
        return until(lambda: self.ends(name), timeout_s=timeout_s, what=f"{name} has ended")[0]
