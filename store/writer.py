"""One thread per database file that owns the only connection that writes, and commits in groups.

All commands that wait (up to BATCH_LIMIT) share one transaction, and so one fsync: that is what makes
`synchronous=FULL` affordable. An answer is given after the COMMIT, so an answer means durable. When a command of the
group fails, the group is rolled back and done again with a savepoint around each, so that only the failing one fails;
and when even that loses the transaction (a full disk does that), each is tried alone, for a small one may still fit.

An I/O error is different: after a failed fsync nobody knows what the disk holds, and asking again may be answered with
a lie. The writer then refuses all further work, and only a restart, which reads the file afresh, tells.
"""

from __future__ import annotations

import contextlib
import itertools
import os
import queue
import sqlite3
import threading
from concurrent.futures import Future
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

from . import errors

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from .db import Db

T = TypeVar("T")
BATCH_LIMIT = 256


@dataclass(frozen=True, slots=True)
class Order:
    """A command, and where its answer goes."""

    command: Callable[[Db], Any]
    future: Future[Any]
    alone: bool = False
    """In no transaction, and beside nothing else."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a command: its error, or else its value."""

    value: Any = None
    error: BaseException | None = None

    def tell(self, future: Future[Any]) -> None:
        """Answer the caller."""
        if self.error is None:
            future.set_result(self.value)
        else:
            future.set_exception(self.error)


class Writer:
    """Runs commands on `db`, in the order they came.

    Called in this thread: `on_fault` once, `on_commit` when something that changed has been committed and answered.
    """

    def __init__(
        self,
        path: Path,
        db: Db,
        on_fault: Callable[[errors.StoreFault], None],
        on_commit: Callable[[], None],
    ) -> None:
        self._path = path
        self._db = db
        self._connection = db.connection
        self._on_fault = on_fault
        self._on_commit = on_commit
        self._changed = False
        status = os.stat(path)
        self._identity = (status.st_dev, status.st_ino)
        self._fault: errors.StoreFault | None = None
        self._closed = False
        self._gate = threading.Lock()
        self._orders: queue.SimpleQueue[Order | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._work, name=f"write {path.name}", daemon=True)
        self._thread.start()

    def submit(self, command: Callable[[Db], T]) -> Future[T]:
        """Run a command; the future is done when its effects are durable, or when it has none."""
        return self._order(command, alone=False)

    def compact(self) -> Future[None]:
        """Write the file anew, without what was deleted or replaced in it. Whoever comes meanwhile waits."""
        return self._order(_compact, alone=True)

    def _order(self, command: Callable[[Db], T], *, alone: bool) -> Future[T]:
        future: Future[T] = Future()
        with self._gate:
            if not self._closed:
                self._orders.put(Order(command, future, alone))
                return future
        future.set_exception(errors.StoreClosed(f"{self._path} is closed"))
        return future

    def close(self) -> None:
        """Finish what was submitted, fold the log into the file, close. Harmless when repeated."""
        with self._gate:
            if not self._closed:
                self._closed = True
                self._orders.put(None)
        if threading.current_thread() is not self._thread:
            self._thread.join()

    def _work(self) -> None:
        closing = False
        while not closing:
            orders, closing = self._next()
            wanted = [order for order in orders if order.future.set_running_or_notify_cancel()]
            for alone, group in itertools.groupby(wanted, key=lambda order: order.alone):
                for some in [[order] for order in group] if alone else [list(group)]:
                    self._serve(some)
        self._leave()

    def _next(self) -> tuple[list[Order], bool]:
        """All that waits, at least one thing, at most a batch; and whether it was the last."""
        orders: list[Order] = []
        order = self._orders.get()
        while order is not None:
            orders.append(order)
            if len(orders) == BATCH_LIMIT:
                return orders, False
            try:
                order = self._orders.get_nowait()
            except queue.Empty:
                return orders, False
        return orders, True

    def _serve(self, orders: Sequence[Order]) -> None:
        fault = None
        try:
            outcomes = self._outcomes(orders)
        except errors.StoreFault as error:
            fault = error
            outcomes = [Outcome(error=fault)] * len(orders)
        for order, outcome in zip(orders, outcomes, strict=True):
            outcome.tell(order.future)
        self._note(fault)
        if self._changed:
            self._changed = False
            self._on_commit()

    def _outcomes(self, orders: Sequence[Order]) -> list[Outcome]:
        """What became of each. Raises StoreFault when that is not known, or nothing could be begun."""
        if self._fault is not None:
            raise self._fault
        try:
            return self._together(orders)
        except errors.StoreFault:
            raise
        except BaseException as error:  # noqa: BLE001 - a command must not take the thread with it
            return [Outcome(error=error)] if len(orders) == 1 else self._one_failed(orders)

    def _one_failed(self, orders: Sequence[Order]) -> list[Outcome]:
        try:
            return self._apart(orders)
        except errors.StoreFault:
            raise
        except BaseException:  # noqa: BLE001 - see above
            return [outcome for order in orders for outcome in self._outcomes([order])]

    def _together(self, orders: Sequence[Order]) -> list[Outcome]:
        if orders and orders[0].alone:
            with self._translated():
                return [Outcome(order.command(self._db)) for order in orders]
        with self._transaction():
            return [Outcome(order.command(self._db)) for order in orders]

    def _apart(self, orders: Sequence[Order]) -> list[Outcome]:
        with self._transaction():
            return [self._in_savepoint(order) for order in orders]

    def _in_savepoint(self, order: Order) -> Outcome:
        self._connection.execute("SAVEPOINT command")
        try:
            outcome = Outcome(order.command(self._db))
        except BaseException as error:
            failure = self._translate(error)
            if isinstance(failure, errors.StoreFault) or not self._connection.in_transaction:
                raise
            self._connection.execute("ROLLBACK TO command")
            outcome = Outcome(error=failure)
        self._connection.execute("RELEASE command")
        return outcome

    @contextlib.contextmanager
    def _translated(self) -> Iterator[None]:
        """Raises what fails in words of ours."""
        try:
            self._check_identity()
            yield
        except errors.SQLITE as error:
            raise self._translate(error) from error

    @contextlib.contextmanager
    def _transaction(self) -> Iterator[None]:
        """BEGIN, COMMIT; on any failure nothing has happened. Raises what failed, in words of ours."""
        try:
            self._check_identity()
            self._connection.execute("BEGIN IMMEDIATE")
            before = self._connection.total_changes
            yield
            self._connection.execute("COMMIT")
            self._changed |= self._connection.total_changes > before
        except BaseException as error:  # noqa: BLE001 - raised again, in words of ours
            if self._connection.in_transaction:
                with contextlib.suppress(sqlite3.Error):
                    self._connection.execute("ROLLBACK")
            raise self._translate(error)  # noqa: B904 - the same error, or one that names it

    def _check_identity(self) -> None:
        """A file that was removed or replaced under its name still takes writes, and keeps none. Raises StoreFault."""
        try:
            there = os.stat(self._path)
        except OSError as error:
            raise errors.StoreFault(f"{self._path} is gone: {error.strerror}") from error
        if (there.st_dev, there.st_ino) != self._identity:
            raise errors.StoreFault(f"{self._path} was replaced while it was in use")

    def _translate(self, error: BaseException) -> BaseException:
        return errors.translate(error, self._path) if isinstance(error, errors.SQLITE) else error

    def _note(self, fault: errors.StoreFault | None) -> None:
        """Refuse all further work after a fault; a lock held by others passes."""
        if fault is not None and self._fault is None and not isinstance(fault, errors.StoreBusy):
            self._fault = fault
            self._on_fault(fault)

    def _leave(self) -> None:
        """Close. Where the log cannot be folded in now, it stays beside the file and is read at the next start."""
        with contextlib.suppress(sqlite3.Error):
            self._connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
        self._connection.close()


def _compact(db: Db) -> None:
    """VACUUM beside the file and not in memory, for that may be large; then nothing of it stays in the log either."""
    execute = db.connection.execute
    execute("PRAGMA temp_store = FILE")
    try:
        execute("VACUUM").fetchall()
    finally:
        execute("PRAGMA temp_store = MEMORY")
    execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
