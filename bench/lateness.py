"""How late tasks start that are due at a time, and whether any starts early.

    python bench/lateness.py

Tasks are due 50 ms apart, all submitted before the first is due. Each is a small static program that reads the clock
first of all, so it testifies itself when it started. Beside it, in the same seconds and 25 ms aside, so that neither is
in the other's way: a heap, a timed wait and a posix_spawn in one Python thread, which is the floor.
"""

from __future__ import annotations

import heapq
import os
import sys
import tempfile
import threading
from functools import partial
from pathlib import Path

import private

import support
from support import CLOCK, Bench, Sample, few, percentile, spread
from tsched.client.connection import Connection
from tsched.proto import api_pb2 as api
from tsched.proto.clock import SECOND_US

TASKS = few(200, 10)
APART_US = 50_000
ASIDE_US = APART_US // 2
AHEAD_US = SECOND_US
OURS, FLOOR = "tsched", "heap, timed wait, posix_spawn"


class Floor(threading.Thread):
    """The simplest thing that could start programs at given times."""

    def __init__(self, program: str, file: Path, due_us: dict[str, int]) -> None:
        super().__init__()
        self._program = program
        self._file = str(file)
        self._heap = [(due, tag) for tag, due in due_us.items()]
        heapq.heapify(self._heap)
        self._woken = threading.Condition()

    def run(self) -> None:
        """Each at its time, never before it."""
        while self._heap:
            due_us, tag = self._heap[0]
            left_us = due_us - CLOCK.now_us()
            if left_us > 0:
                with self._woken:
                    self._woken.wait(left_us / SECOND_US)
                continue
            heapq.heappop(self._heap)
            words = [self._program, self._file, tag]
            os.waitpid(os.posix_spawn(words[0], words, {}), 0)


def both(client: Connection, program: str, kept: dict[str, list[Sample]]) -> Sample:
    """Ours and the floor in the same seconds; what the floor came to is kept for its own turn."""
    with tempfile.TemporaryDirectory(prefix="stamps-") as folder:
        ours, floor = Path(folder) / "ours", Path(folder) / "floor"
        first_us = CLOCK.now_us() + AHEAD_US
        due_us = {str(number): first_us + number * APART_US for number in range(TASKS)}
        specs = [spec([program, str(ours), tag], due) for tag, due in due_us.items()]
        aside_us = {tag: due + ASIDE_US for tag, due in due_us.items()}
        ids = [each.id for each in client.submit(specs, common=api.TaskSpec(cwd="/"))]
        thread = Floor(program, floor, aside_us)
        thread.start()
        ended = list(client.wait(ids))
        thread.join()
        assert all(task.state == "succeeded" for task in ended)
        kept[FLOOR].append(lateness(floor, aside_us))
        return lateness(ours, due_us)


def spec(words: list[str], due_at_us: int) -> api.TaskSpec:
    return api.TaskSpec(command=api.Command(argv=api.Argv(args=words)), due_at_us=due_at_us)


def lateness(file: Path, due_us: dict[str, int]) -> Sample:
    """Start less due time, by the program's own clock."""
    started_us = support.stamps_us(file)
    assert started_us.keys() == due_us.keys()
    late_ms = [(started_us[tag] - due) / 1000 for tag, due in due_us.items()]
    return {"late_ms": late_ms, "early": sum(late < 0 for late in late_ms), **spread(late_ms, "ms")}


def main() -> int:
    bench = Bench("lateness", f"{TASKS} tasks due over {TASKS * APART_US / SECOND_US:g} s")
    kept: dict[str, list[Sample]] = {FLOOR: []}
    with private.service() as service, Connection(service.socket) as client:
        program = support.stamp(service.base, bench)
        warm = [api.TaskSpec(command=api.Command(argv=api.Argv(args=["true"])), cwd="/")] * 4
        list(client.wait([each.id for each in client.submit(warm)]))
        bench.ask({OURS: partial(both, client, program, kept), FLOOR: lambda: kept[FLOOR][-1]})
    keys = ("p50_ms", "p99_ms", "min_ms", "max_ms")
    rows = [
        (way, *(f"{bench.median(way, key):.2f}" for key in keys), sum(bench.values(way, "early")))
        for way in (OURS, FLOOR)
    ]
    bench.table(("ms late, medians of the rounds", "p50", "p99", "least", "most", "early in all"), rows)
    every = [late for one in bench.values(OURS, "late_ms") for late in one]
    bench.note(f"p99 over all {len(every)} tasks of all rounds: {percentile(every, 99):.2f} ms")
    bench.at_most("tsched: p99 late", bench.median(OURS, "p99_ms"), 10, " ms")
    bench.at_most("tsched: started early", sum(bench.values(OURS, "early")), 0)
    bench.close()
    return 0


if __name__ == "__main__":
    sys.exit(main())
