"""How many tasks a second are stored for good: an answered submission survives a power cut.

    python bench/submit.py

One client submits tasks due tomorrow, so that nothing runs: one by one, each waiting for its answer, and a thousand in
one request that says once what they have in common. Beside it, in the same folder: how often a second this disk takes
4 KiB for good (fdatasync), and how many rows a second bare sqlite3 commits one by one (WAL, synchronous=FULL).
"""

from __future__ import annotations

import os
import sqlite3
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import private

from support import Bench, Sample, few, spread
from tsched.client.connection import Connection
from tsched.proto import api_pb2 as api
from tsched.proto.clock import SECOND_US

SINGLE = few(700, 20)
SYNCS = few(2000, 50)
BATCH = few(1000, 50)
BATCHES = few(10, 2)
TOMORROW_US = 86_400 * SECOND_US
COMMON = api.TaskSpec(command=api.Command(argv=api.Argv(args=["true"])), cwd="/", delay_us=TOMORROW_US)


def timed(act: Callable[[], object], times: int, each: int = 1) -> Sample:
    """How many a second, and how long one took."""
    took_us = []
    began = time.perf_counter_ns()
    for _ in range(times):
        before = time.perf_counter_ns()
        act()
        took_us.append((time.perf_counter_ns() - before) / 1000)
    return {"per_s": times * each / ((time.perf_counter_ns() - began) / 1e9), **spread(took_us, "us")}


def one_by_one(client: Connection) -> Sample:
    return timed(partial(client.submit, [COMMON]), SINGLE)


def in_batches(client: Connection) -> Sample:
    return timed(partial(client.submit, [api.TaskSpec()] * BATCH, common=COMMON), BATCHES, BATCH)


def by_fdatasync(folder: Path) -> Sample:
    """4 KiB at the end of a file, as a journal is written."""
    with tempfile.TemporaryFile(dir=folder, buffering=0) as file:
        page = os.urandom(4096)

        def write() -> None:
            file.write(page)
            os.fdatasync(file.fileno())

        return timed(write, SYNCS)


def by_sqlite(folder: Path) -> Sample:
    """A row of 200 bytes and a commit, again and again."""
    with tempfile.TemporaryDirectory(dir=folder) as inner:
        database = sqlite3.connect(f"{inner}/db", isolation_level=None)
        database.execute("PRAGMA journal_mode = WAL")
        database.execute("PRAGMA synchronous = FULL")
        database.execute("CREATE TABLE task (id INTEGER PRIMARY KEY, state TEXT, due_at_us INTEGER, payload BLOB)")
        insert = "INSERT INTO task (state, due_at_us, payload) VALUES ('scheduled', 1, randomblob(200))"
        sample = timed(partial(database.execute, insert), SYNCS)
        database.close()
    return sample


def main() -> int:
    bench = Bench("submit", f"durable submissions: {SINGLE} one by one, {BATCHES} x {BATCH:,}")
    with private.service() as service, Connection(service.socket) as client:
        client.submit([COMMON])
        ways = {
            "tsched, one by one": partial(one_by_one, client),
            f"tsched, {BATCH:,} in a request": partial(in_batches, client),
            "sqlite3, a row a commit": partial(by_sqlite, service.base),
            "fdatasync of 4 KiB": partial(by_fdatasync, service.base),
        }
        bench.ask(ways)
    rows = [
        (
            way,
            f"{bench.median(way, 'per_s'):,.0f}",
            bench.range(way, "per_s"),
            f"{bench.median(way, 'p50_us') / 1000:.2f}",
            f"{bench.median(way, 'p99_us') / 1000:.2f}",
        )
        for way in ways
    ]
    bench.table(("median of the rounds", "a second", "lowest to highest", "p50 ms a call", "p99 ms a call"), rows)
    one, many, bare, _ = ways
    of_bare = [bench.ratio(way, bare, "per_s") for way in (one, many)]
    bench.note(f"one by one is {of_bare[0]:.2f} of bare sqlite3, in batches {of_bare[1]:.1f} times it")
    bench.at_least("submissions one by one", bench.median(one, "per_s"), 700, "/s")
    bench.at_least("submissions in batches", bench.median(many, "per_s"), 20_000, "/s")
    bench.close()
    return 0


if __name__ == "__main__":
    sys.exit(main())
