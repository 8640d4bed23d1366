"""The store: two database files, each with one writer thread and a few readers.

`tsched.db` holds tasks, attempts and executors; `output.db` what the tasks wrote. They are apart so that a flood of
output never delays a claim. Chunks are committed before the finish that tells their lengths, and an attempt's row goes
before its output does, so whatever happens in between is noticed: `open` brings the two together again.
"""

from __future__ import annotations

import sys
import threading
from functools import partial
from typing import TYPE_CHECKING, TypeVar

from . import claims, executors, opening, output, retention, sql
from .db import Db
from .migrate import OUTPUT, TSCHED, Schema
from .readers import Readers
from .writer import Writer

if TYPE_CHECKING:
    from collections.abc import Callable
    from concurrent.futures import Future
    from pathlib import Path

    from ..proto.clock import Clock
    from .cipher import Cipher
    from .errors import StoreFault

T = TypeVar("T")
READERS = 2
DROP_BATCH = 500


def _nobody() -> None:
    """Who wants to hear of commits to a file that nobody follows."""


class Lane:
    """One database file, open: its writer and its readers."""

    def __init__(
        self,
        path: Path,
        schema: Schema,
        cipher: Cipher,
        on_fault: Callable[[StoreFault], None],
        on_commit: Callable[[], None] = _nobody,
    ) -> None:
        self.path = path
        statements = sql.load()
        connections = [opening.open_writer(path, schema)]
        try:
            connections += [opening.open_reader(path) for _ in range(READERS)]
        except BaseException:
            connections[0].close()
            raise
        handles = [Db(connection, cipher, statements) for connection in connections]
        self.writer = Writer(path, handles[0], on_fault, on_commit)
        self.readers = Readers(path, handles[1:])

    def close(self) -> None:
        """Readers first, so that the writer is the last and can fold the log in."""
        self.readers.close()
        self.writer.close()


class Store:
    """What tsched knows, durably. Get one with `open`; every method may be called from any thread."""

    def __init__(self, *, state_dir: Path, cipher: Cipher, clock: Clock) -> None:
        self.state_dir = state_dir
        self.cipher = cipher
        self.clock = clock
        self._fault: StoreFault | None = None
        self._callbacks: list[Callable[[StoreFault], None]] = []
        self._followers: tuple[Callable[[], None], ...] = ()
        self._gate = threading.Lock()
        self.tasks_lane = Lane(state_dir / TSCHED.file_name, TSCHED, cipher, self._report, self._committed)
        try:
            self.output_lane = Lane(state_dir / OUTPUT.file_name, OUTPUT, cipher, self._report)
        except BaseException:
            self.tasks_lane.close()
            raise

    @classmethod
    def open(cls, state_dir: Path, cipher: Cipher, clock: Clock) -> Store:
        """Open both databases in a folder that exists, creating and migrating them as needed.

        Raises Refusal STATE_DIR_UNUSABLE, STORE_NEWER, STORE_CORRUPT, STORE_READ_ONLY or STORE_FULL.
        """
        store = cls(state_dir=state_dir, cipher=cipher, clock=clock)
        try:
            with opening.translated(store.tasks_lane.path):
                store._reconcile()
        except BaseException:
            store.close()
            raise
        return store

    def write(self, command: Callable[[Db], T]) -> Future[T]:
        """Run a command on tsched.db. Done means durable; failed means without effect, unless it is a StoreFault."""
        return self.tasks_lane.writer.submit(command)

    def write_output(self, command: Callable[[Db], T]) -> Future[T]:
        """Run a command on output.db, under the same promise."""
        return self.output_lane.writer.submit(command)

    def read(self, query: Callable[[Db], T]) -> Future[T]:
        """Ask tsched.db."""
        return self.tasks_lane.readers.submit(query)

    def read_output(self, query: Callable[[Db], T]) -> Future[T]:
        """Ask output.db."""
        return self.output_lane.readers.submit(query)

    def compact(self) -> Future[None]:
        """Write tsched.db anew, without what was deleted or replaced in it."""
        return self.tasks_lane.writer.compact()

    def compact_output(self) -> Future[None]:
        """Write output.db anew."""
        return self.output_lane.writer.compact()

    def on_fault(self, callback: Callable[[StoreFault], None]) -> None:
        """Call back, from a writer's thread, when the disk let the store down; at once if it has already."""
        with self._gate:
            self._callbacks.append(callback)
            fault = self._fault
        if fault is not None:
            callback(fault)

    def on_commit(self, callback: Callable[[], None]) -> Callable[[], None]:
        """Call back, from the writer's thread, after each commit to tsched.db that changed something.

        The answer ends that. The callback must be quick; one that raises is not called again.
        """
        with self._gate:
            self._followers = (*self._followers, callback)
        return partial(self._unfollow, callback)

    def close(self) -> None:
        """Finish what was submitted, then close both files. Harmless when repeated."""
        self.tasks_lane.close()
        self.output_lane.close()

    def _report(self, fault: StoreFault) -> None:
        with self._gate:
            self._fault = self._fault or fault
            callbacks = list(self._callbacks)
        for callback in callbacks:
            callback(fault)

    def _unfollow(self, callback: Callable[[], None]) -> None:
        with self._gate:
            self._followers = tuple(other for other in self._followers if other is not callback)

    def _committed(self) -> None:
        for callback in self._followers:
            try:
                callback()
            except Exception:  # noqa: BLE001 - it must not take the writer with it
                self._unfollow(callback)
                sys.excepthook(*sys.exc_info())

    def _reconcile(self) -> None:
        """Bring the files together: attempt ids above all that have output, no output of attempts that are gone."""
        newest = self.read_output(output.newest_attempt).result()
        self.write(partial(claims.skip_ids, newest=newest)).result()
        self.write(executors.forget_gone).result()
        while doomed := self.read(partial(retention.dropped, limit=DROP_BATCH)).result():
            self.write_output(partial(output.drop, attempt_ids=doomed)).result()
            self.write(partial(retention.output_dropped, attempt_ids=doomed)).result()
