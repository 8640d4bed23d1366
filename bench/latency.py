"""How long it takes from asking for a command to its first instruction, on an idle system, one after the other.

    python bench/latency.py

The command is a small static program that reads the clock first of all and writes it to a file, so it testifies
itself. Asked for by: tsched's Python client (Submit, with all its durability), `tsp` (its command, as it has no other
way), and a bare posix_spawn, which is the floor. The `tsched` command line comes on top of the first: commands.py.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import private

import support
from support import CLOCK, Bench, Sample, few, spread
from tsched.client.connection import Connection
from tsched.proto import api_pb2 as api

TIMES = few(200, 5)
REST_S = 0.005
"""Between two: everything that follows an end has been done, and the system is idle again."""

Ask = Callable[[list[str]], object]
"""Has a command run; returns when it has ended."""


def sequence(ask: Ask, program: str) -> Sample:
    """How long each one took to its first instruction."""
    with tempfile.TemporaryDirectory(prefix="stamps-") as folder:
        file = Path(folder) / "stamps"
        asked_us = {}
        for number in range(TIMES):
            time.sleep(REST_S)
            asked_us[str(number)] = CLOCK.now_us()
            ask([program, str(file), str(number)])
        started_us = support.stamps_us(file)
    assert started_us.keys() == asked_us.keys()
    return spread([(started_us[tag] - at_us) / 1000 for tag, at_us in asked_us.items()], "ms")


def by_tsched(client: Connection, words: list[str]) -> None:
    command = api.Command(argv=api.Argv(args=words))
    [submitted] = client.submit([api.TaskSpec(command=command, cwd="/")])
    [task] = client.wait([submitted.id])
    assert task.state == "succeeded", task


def by_spawn(words: list[str]) -> None:
    os.waitpid(os.posix_spawn(words[0], words, {}), 0)


@contextmanager
def tsp_server() -> Iterator[Ask]:
    """A task-spooler of its own."""
    with tempfile.TemporaryDirectory(prefix="tsp-") as folder:
        env = {"PATH": "/usr/bin:/bin", "TS_SOCKET": f"{folder}/socket", "TMPDIR": folder}
        run = partial(subprocess.run, env=env, check=True, stdout=subprocess.DEVNULL)

        def ask(words: list[str]) -> None:
            run(["tsp", *words])
            run(["tsp", "-w"])
            private.reap()  # its client, which went into the background

        try:
            run(["tsp", "-S", "2"])
            yield ask
        finally:
            run(["tsp", "-K"])


def main() -> int:
    bench = Bench("latency", f"from asking to the first instruction, {TIMES} times, idle system")
    tsp = support.find("tsp", bench, "task-spooler")
    with private.service() as service, Connection(service.socket) as client, tsp_server_or_none(tsp) as by_tsp:
        program = support.stamp(service.base, bench)
        by_tsched(client, ["true"])
        asks: dict[str, Ask] = {"tsched, client": partial(by_tsched, client)}
        asks |= {"tsp": by_tsp} if by_tsp else {}
        asks["posix_spawn"] = by_spawn
        bench.ask({way: partial(sequence, ask, program) for way, ask in asks.items()})
    keys = ("p50_ms", "p99_ms", "min_ms", "max_ms")
    rows = [(way, *(f"{bench.median(way, key):.2f}" for key in keys)) for way in asks]
    bench.table(("ms, medians of the rounds", "p50", "p99", "least", "most"), rows)
    bench.at_most("tsched: p50", bench.median("tsched, client", "p50_ms"), 8, " ms")
    bench.at_most("tsched: p99", bench.median("tsched, client", "p99_ms"), 30, " ms")
    bench.close()
    return 0


@contextmanager
def tsp_server_or_none(path: str | None) -> Iterator[Ask | None]:
    if path is None:
        yield None
        return
    with tsp_server() as ask:
        yield ask


if __name__ == "__main__":
    sys.exit(main())
