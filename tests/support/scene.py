"""A database by itself, with a meter: cost in steps of SQLite's virtual machine is the same on every machine."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from support.keep import START_US, draft
from tsched.store import executors, model, opening, sql, tasks
from tsched.store.cipher import PlainCipher
from tsched.store.db import Db
from tsched.store.migrate import TSCHED, Schema

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


class Scene:
    """A database by itself, with many tasks waiting, and a meter."""

    def __init__(self, folder: Path, schema: Schema = TSCHED) -> None:
        self.db = Db(opening.open_writer(folder / schema.file_name, schema), PlainCipher(), sql.load())

    def fill(self, many: int, **values: Any) -> None:
        for start in range(0, many, 10_000):
            drafts = [draft(n, START_US + n, **values) for n in range(start, min(start + 10_000, many))]
            self.db.connection.execute("BEGIN IMMEDIATE")
            tasks.submit(self.db, drafts=drafts, now_us=START_US)
            self.db.connection.execute("COMMIT")

    def register(self, name: str) -> None:
        row = model.ExecutorRow(
            id=name, secret_hash=b"", pid=1, start_ticks=1, boot_id="", version="", started_at_us=1, state="present"
        )
        self.steps(executors.register, row=row)

    def steps(self, command: Callable[..., Any], **values: Any) -> int:
        """How many steps a command takes."""
        taken = 0

        def step() -> int:
            nonlocal taken
            taken += 1
            return 0

        self.db.connection.execute("BEGIN IMMEDIATE")
        self.db.connection.set_progress_handler(step, 1)
        try:
            self.result = command(self.db, **values)
        finally:
            self.db.connection.set_progress_handler(None, 1)
            self.db.connection.execute("COMMIT")
        return taken
