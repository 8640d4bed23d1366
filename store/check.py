"""What `tsched doctor` asks of the store: are the files sound, and does what they say hold together.

It reads a page at a time, so that it holds up neither the writers nor the log. What changes meanwhile is looked at
again before it is called a problem.
"""

from __future__ import annotations

import contextlib
import functools
import json
import sqlite3
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

import sqlite_utils

from ..proto.errors import Refusal
from . import data_keys, errors, output, reseal, sql
from .cipher import Cipher, CorruptRecord
from .errors import StoreFault
from .migrate import OUTPUT, TSCHED, Schema, migrate
from .model import ChunkRow, Finding

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from .data_keys import Opener
    from .db import Db
    from .reseal import Column
    from .sql import Statement
    from .store import Lane, Store

PAGE = 1000
CHUNKS_PAGE = 32
RESULTS_PAGE = 16
"""Of results, each of which may have some MiB."""
TOLD_AS = {"tasks": "task #", "attempts": "attempt #", "progress": "attempt #", "executors": "executor "}
INVARIANTS = tuple(statement for name, statement in sorted(sql.load().items()) if name.startswith("check_"))
NOTICES = frozenset({"check_early"})
DAMAGED = "stop the service, keep a copy of the file, then restore or move it aside"
INCONSISTENT = "please report this; nothing was changed"


def check(store: Store) -> tuple[list[Finding], list[str]]:
    """All findings, and what was looked at."""
    findings: list[Finding] = []
    checked: list[str] = []
    for what, look in _looks(store):
        checked.append(what)
        findings += look()
    return findings, checked


def _looks(store: Store) -> Iterator[tuple[str, Callable[[], list[Finding]]]]:
    for lane, schema in ((store.tasks_lane, TSCHED), (store.output_lane, OUTPUT)):
        for what, query in (
            ("pages and indexes", _integrity),
            ("references", _references),
            ("schema", functools.partial(_schema, wanted=schema)),
        ):
            yield f"{lane.path.name}: {what}", functools.partial(_ask, lane, query)
    now_us = store.clock.now_us()
    for statement in INVARIANTS:
        query = functools.partial(_broken, statement=statement, now_us=now_us)
        yield statement.purpose, functools.partial(_ask, store.tasks_lane, query)
    yield "no tasks wait for each other", functools.partial(_ask, store.tasks_lane, _rings)
    yield "every payload can be opened", functools.partial(_paged, store, _closed_payloads)
    yield "every result can be opened", functools.partial(_paged, store, _closed_results)
    for column in reseal.COLUMNS:
        if column.table in TOLD_AS:
            look = functools.partial(_closed_fields, column=column)
            yield f"{column.table}: {column.name} can be opened", functools.partial(_paged, store, look, column.first)
    yield "all output can be opened", functools.partial(_paged, store, _closed_output)
    yield "output is as long as its attempts say", functools.partial(_paged, store, _short_outputs)
    yield "output belongs to attempts", functools.partial(_paged, store, _orphans)


def _ask(lane: Lane, query: Callable[[Db], list[Finding]]) -> list[Finding]:
    """The findings of a query; a file that cannot be read is one."""
    try:
        return lane.readers.submit(query).result()
    except (Refusal, StoreFault, *errors.SQLITE) as error:
        return [_problem(str(lane.path), str(error), DAMAGED)]


def _integrity(db: Db) -> list[Finding]:
    messages = [row[0] for row in db.connection.execute(f"PRAGMA integrity_check({PAGE})")]
    return [_problem(_file(db), message, DAMAGED) for message in messages if message != "ok"]


def _references(db: Db) -> list[Finding]:
    broken = db.connection.execute("PRAGMA foreign_key_check").fetchall()
    return [_problem(f"{row[0]} {row[1]}", f"names a row of {row[2]} that is not there", DAMAGED) for row in broken]


def _schema(db: Db, *, wanted: Schema) -> list[Finding]:
    """What the migrations make is what must be there, letter by letter."""
    differing = {name for name, _ in _made(wanted) ^ _objects(db.connection)}
    return [_problem(_file(db), f"schema differs at {name}", DAMAGED) for name in sorted(differing)]


@functools.cache
def _made(schema: Schema) -> frozenset[tuple[str, str]]:
    with contextlib.closing(sqlite3.connect(":memory:", isolation_level=None)) as fresh:
        fresh.row_factory = sqlite3.Row
        migrate(fresh, Path(":memory:"), schema)
        return _objects(fresh)


def _objects(connection: sqlite3.Connection) -> frozenset[tuple[str, str]]:
    tables = sqlite_utils.Database(connection, execute_plugins=False, recursive_triggers=False)
    found = tables.query("SELECT name, sql FROM sqlite_schema WHERE sql IS NOT NULL")
    return frozenset((row["name"], row["sql"]) for row in found)


def _broken(db: Db, *, statement: Statement, now_us: int) -> list[Finding]:
    """What breaks an invariant."""
    make = _notice if statement.name in NOTICES else _problem
    found = db.connection.execute(f"{statement.text} LIMIT {PAGE}", {"now_us": now_us})
    return [make(row["object"], row["message"], INCONSISTENT) for row in found]


def _paged(
    store: Store, look: Callable[[Store, Any], tuple[list[Finding], int | str | None]], first: int | str = 0
) -> list[Finding]:
    """The findings of all pages; each tells the key after which the next begins."""
    findings: list[Finding] = []
    after: int | str | None = first
    while after is not None:
        try:
            found, after = look(store, after)
        except (Refusal, StoreFault, *errors.SQLITE) as error:
            return [*findings, _problem(str(store.state_dir), str(error), DAMAGED)]
        findings += found
    return findings


def _rings(db: Db) -> list[Finding]:
    """What would still wait when everything that waits for no other task had ended."""
    waiting = {row["seq"]: (row["id"], row["waits_for"]) for row in db.all("waiting_tasks")}
    left = {seq: many for seq, (_, many) in waiting.items()}
    ending = [row["seq"] for row in db.all("waited_for_now")]
    while ending:
        freed = db.all("freed_by", seqs=json.dumps(ending))
        for row in freed:
            left[row["task"]] = left.get(row["task"], row["ended"]) - row["ended"]
        ending = [row["task"] for row in freed if left[row["task"]] == 0]
    stuck = [waiting[seq][0] for seq, many in left.items() if many > 0]
    return [_problem(f"task {name}", "waits, over others, for itself", INCONSISTENT) for name in stuck[:PAGE]]


def _closed_payloads(store: Store, after: int) -> tuple[list[Finding], int | None]:
    page = store.read(lambda db: db.all("sealed_payloads_after", after=after, limit=PAGE)).result()
    closed = [row["id"] for row in page if not _opens(store.cipher, row, "payloads")]
    hint = "it will not be run; delete it and submit it again"
    return [_problem(f"task {name}", "what it is to run is damaged", hint) for name in closed], _next(page, "task")


def _closed_results(store: Store, after: int) -> tuple[list[Finding], int | None]:
    page = store.read(lambda db: db.all("sealed_results_after", after=after, limit=RESULTS_PAGE)).result()
    closed = [row["id"] for row in page if not _opens(store.cipher, row, "results")]
    hint = "run it again if you need it"
    next_ = int(page[-1]["task"]) if len(page) == RESULTS_PAGE else None
    return [_problem(f"task {name}", "what it returned is damaged", hint) for name in closed], next_


def _closed_fields(store: Store, after: int | str, *, column: Column) -> tuple[list[Finding], int | str | None]:
    """Sealed fields that people are told, and keys of output."""
    page = store.read(lambda db: db.all(column.page, after=after, limit=PAGE)).result()
    closed = [row["row"] for row in page if row["blob"] is not None and not _opens_in(store.cipher, row, column)]
    findings = [
        _problem(f"{TOLD_AS[column.table]}{row}", f"its {column.name} is damaged", "it is shown as such")
        for row in closed
    ]
    return findings, page[-1]["row"] if len(page) == PAGE else None


def _opens_in(cipher: Cipher, row: sqlite3.Row, column: Column) -> bool:
    try:
        cipher.open(row["blob"], table=column.table, row=row["row"], column=column.name, revision=row["revision"])
    except CorruptRecord:
        return False
    return True


def _opens(cipher: Cipher, row: sqlite3.Row, table: str) -> bool:
    try:
        cipher.open(row["sealed"], table=table, row=row["task"], column="sealed", revision=row["revision"])
    except CorruptRecord:
        return False
    return True


def _closed_output(store: Store, after: int) -> tuple[list[Finding], int | None]:
    page = store.read_output(lambda db: db.all("chunks_from", after=after, limit=CHUNKS_PAGE)).result()
    chunks = [output.chunk_row(row) for row in page]
    owners = _owners(store, {chunk.attempt_id for chunk in chunks})
    closed = Counter(each.attempt_id for each in chunks if each.attempt_id in owners and not _is_sound(owners, each))
    hint = "what came before it is sound; run it again if you need it"
    found = [
        _problem(f"attempt {who}", f"{many} chunks of its output are damaged", hint) for who, many in closed.items()
    ]
    return found, int(page[-1]["row"]) if len(page) == CHUNKS_PAGE else None


def _owners(store: Store, attempt_ids: set[int]) -> dict[int, Opener]:
    """What opens the output of those that are kept."""
    kept = _kept(store, list(attempt_ids))
    return {each: store.read(functools.partial(data_keys.opener, attempt_id=each)).result() for each in kept}


def _is_sound(owners: Mapping[int, Opener], chunk: ChunkRow) -> bool:
    try:
        return len(owners[chunk.attempt_id].open(chunk)) == chunk.length
    except CorruptRecord:
        return False


def _short_outputs(store: Store, after: int) -> tuple[list[Finding], int | None]:
    """Ended attempts whose output is not as long as they say; that of a lost one may be shorter."""
    page = store.read(lambda db: db.all("written_after", after=after, limit=PAGE)).result()
    lengths = _lengths(store, [row["id"] for row in page])
    suspects = [row for row in page if row["state"] != "lost" and lengths.get(row["id"], 0) != row["kept_bytes"]]
    still_there = _kept(store, [row["id"] for row in suspects])
    findings = [
        _problem(
            f"attempt {row['id']} of task {row['task_id']}",
            f"wrote {row['kept_bytes']} bytes to keep, {lengths.get(row['id'], 0)} are there",
            "its output is not complete; run it again if you need it",
        )
        for row in suspects
        if row["id"] in still_there
    ]
    return findings, _next(page, "id")


def _orphans(store: Store, after: int) -> tuple[list[Finding], int | None]:
    """Output whose attempt is neither kept nor waiting to be dropped."""
    page = store.read_output(lambda db: db.all("owners_after", after=after, limit=PAGE)).result()
    owners = [row["attempt_id"] for row in page]
    known = _kept(store, owners) | _dropped(store, owners)
    hint = "tsched.db is older than output.db, or was replaced; this output can be shown for no task"
    return [
        _notice(f"attempt {owner}", "has output and no task", hint) for owner in owners if owner not in known
    ], _next(page, "attempt_id")


def _lengths(store: Store, attempt_ids: list[int]) -> dict[int, int]:
    among = json.dumps(attempt_ids)
    found = store.read_output(lambda db: db.all("stored_lengths_among", attempt_ids=among)).result()
    return {row["attempt_id"]: row["length"] for row in found}


def _kept(store: Store, attempt_ids: list[int]) -> set[int]:
    among = json.dumps(attempt_ids)
    return {row["id"] for row in store.read(lambda db: db.all("attempts_among", attempt_ids=among)).result()}


def _dropped(store: Store, attempt_ids: list[int]) -> set[int]:
    among = json.dumps(attempt_ids)
    return {row["attempt_id"] for row in store.read(lambda db: db.all("dropped_among", attempt_ids=among)).result()}


def _next(page: list[sqlite3.Row], key: str) -> int | None:
    return int(page[-1][key]) if len(page) == PAGE else None


def _file(db: Db) -> str:
    return str(db.connection.execute("PRAGMA database_list").fetchone()["file"])


def _problem(what: str, message: str, hint: str) -> Finding:
    return Finding(severity="problem", object=what, message=message, hint=hint)


def _notice(what: str, message: str, hint: str) -> Finding:
    return Finding(severity="notice", object=what, message=message, hint=hint)
