"""Reports of many calls on their way to the executor: those of one moment are one frame."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from .host_messages import HostReport, Wrote

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Iterable

    from .messages import Report
    from .upward import Port

MOST_CHARACTERS = 256 * 1024


class Gatherer:
    """Reports on their way to the executor, gathered for as long as the loop is busy."""

    def __init__(self, port: Port) -> None:
        self._port = port
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread = threading.get_ident()
        self._reports: list[HostReport] = []
        self._characters = 0
        self._gathering = threading.RLock()

    def attach(self, loop: asyncio.AbstractEventLoop) -> None:
        """Send whenever this loop has done what it has at hand."""
        self._loop = loop

    def put(self, report: HostReport) -> None:
        """Send this, from any thread. Waits while the executor does not read."""
        with self._gathering:
            first = not self._reports
            self._reports.append(report)
            if isinstance(report, Wrote):
                self._characters += len(report.text)
            if self._characters > MOST_CHARACTERS or self._loop is None:
                self.flush()
            elif first and threading.get_ident() == self._thread:
                self._loop.call_soon(self.flush)
            elif first:
                self._loop.call_soon_threadsafe(self.flush)

    def flush(self) -> None:
        """Send what there is."""
        with self._gathering:
            reports, self._reports, self._characters = self._reports, [], 0
            if reports:
                self._port.send(*_joined(reports))


def _joined(reports: Iterable[HostReport]) -> list[Report]:
    """What follows each other in one stream of one call is one report."""
    joined: list[Report] = []
    texts: list[str] = []
    place = (0, 0)
    for report in reports:
        if isinstance(report, Wrote) and (report.attempt_id, report.stream) == place:
            texts.append(report.text)
            continue
        if texts:
            joined.append(Wrote(*place, "".join(texts)))
        texts, place = [], (0, 0)
        if isinstance(report, Wrote):
            texts, place = [report.text], (report.attempt_id, report.stream)
        else:
            joined.append(report)
    return [*joined, Wrote(*place, "".join(texts))] if texts else joined
