"""Threads that answer questions: each has a connection that cannot write, and sees one moment of the database."""

from __future__ import annotations

import queue
import threading
from concurrent.futures import Future
from typing import TYPE_CHECKING, Any, TypeVar

from . import errors

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from .db import Db

T = TypeVar("T")


class Readers:
    """A small pool; each query runs in one thread, inside one read transaction."""

    def __init__(self, path: Path, handles: Sequence[Db]) -> None:
        self._path = path
        self._closed = False
        self._gate = threading.Lock()
        self._questions: queue.SimpleQueue[tuple[Callable[[Db], Any], Future[Any]] | None] = queue.SimpleQueue()
        self._threads = [
            threading.Thread(target=self._work, args=(db,), name=f"read {path.name} {number}", daemon=True)
            for number, db in enumerate(handles, 1)
        ]
        for thread in self._threads:
            thread.start()

    def submit(self, query: Callable[[Db], T]) -> Future[T]:
        """Run a query; the future has its answer, or its error."""
        future: Future[T] = Future()
        with self._gate:
            if not self._closed:
                self._questions.put((query, future))
                return future
        future.set_exception(errors.StoreClosed(f"{self._path} is closed"))
        return future

    def close(self) -> None:
        """Answer what was asked, then close. Harmless when repeated."""
        with self._gate:
            if not self._closed:
                self._closed = True
                for _ in self._threads:
                    self._questions.put(None)
        for thread in self._threads:
            thread.join()

    def _work(self, db: Db) -> None:
        while (question := self._questions.get()) is not None:
            query, future = question
            if future.set_running_or_notify_cancel():
                self._answer(db, query, future)
        db.connection.close()

    def _answer(self, db: Db, query: Callable[[Db], T], future: Future[T]) -> None:
        try:
            answer = self._ask(db, query)
        except errors.SQLITE as error:
            future.set_exception(errors.translate(error, self._path))
        except BaseException as error:  # noqa: BLE001 - a query must not take the thread with it
            future.set_exception(error)
        else:
            future.set_result(answer)

    def _ask(self, db: Db, query: Callable[[Db], T]) -> T:
        db.connection.execute("BEGIN")
        try:
            return query(db)
        finally:
            if db.connection.in_transaction:
                db.connection.execute("ROLLBACK")
