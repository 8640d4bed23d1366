"""How many calls of a function a second, results durable and fetched; and how long one call takes there and back.

    python bench/calls.py

The same number of calls of a function that does nothing, from before the first submission until the last result is
here: tsched's client (Submit a thousand at a time, one Wait with results), huey (SqliteHuey as it comes, its consumer
with processes and with threads) and FlexiQ (as it comes, with processes: with threads it makes some seventy calls a
second), in turn. Peers that are not here are left out: pip install 'tsched[bench]'. Then, on an idle system and one
after the other: submit, run, result, by one Run each, and by the predecessor's SubmitTask.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from contextlib import ExitStack
from functools import partial

import grpc
import peers
import private

from support import ROUNDS, Bench, Sample, few, percentile, spread
from tsched.client.connection import Connection
from tsched.proto import anys, endpoint
from tsched.proto import api_pb2 as api
from tsched.proto import taskscheduler_pb2 as old
from tsched.proto.call_pb2 import Call
from tsched.proto.taskscheduler_pb2_grpc import TaskSchedulerStub

CALLS = few(10_000, 60)
BATCH = few(1000, 20)
WARM_UP = few(500, 10)
TRIPS = few(300, 5)
BULK_ROUNDS = min(ROUNDS, 3)
REST_S = 0.005
"""Between two: everything that follows an end has been done, and the system is idle again."""
PING = api.TaskSpec(call=Call(function="ping"))
PONG = anys.to_any(peers.RESULT)
OURS = "tsched, client"
PEERS = {
    "huey, processes": ("huey", partial(peers.huey, "process")),
    "huey, threads": ("huey", partial(peers.huey, "thread")),
    "FlexiQ, processes": ("flexiq", peers.flexiq),
}


def by_client(service: private.Private, client: Connection, count: int) -> Sample:
    """All submitted, then all waited for; processor time by kind of process."""
    before, began = service.cpu_s(), time.perf_counter()
    ids = []
    for first in range(0, count, BATCH):
        some = [api.TaskSpec()] * min(BATCH, count - first)
        ids += [each.id for each in client.submit(some, common=PING)]
    submitted_s = time.perf_counter() - began
    fetched = sum(task.result == PONG for task in client.wait(ids, outcomes=True, results=True))
    took_s = time.perf_counter() - began
    assert fetched == count
    after = service.cpu_s()
    cpu_us = {f"{kind}_us": (after[kind] - before[kind]) / count * 1e6 for kind in private.KINDS}
    return {"calls_s": count / took_s, "submitted_s": count / submitted_s, **cpu_us}


def by_peer(calls: peers.Calls) -> Sample:
    began = time.perf_counter()
    calls(CALLS)
    return {"calls_s": CALLS / (time.perf_counter() - began)}


def trips(ask: Callable[[], None]) -> Sample:
    """One after the other."""
    took_ms = []
    for _ in range(TRIPS):
        time.sleep(REST_S)
        began = time.perf_counter()
        ask()
        took_ms.append((time.perf_counter() - began) * 1000)
    return {**spread(took_ms, "ms"), "p95_ms": percentile(took_ms, 95)}


def by_run(client: Connection) -> None:
    *_, last = client.run(PING)
    assert last.ended.result == PONG, last


def by_predecessor(stub: TaskSchedulerStub) -> None:
    assert stub.SubmitTask(old.TaskRequest(method="ping")).result == peers.RESULT


def bulk(bench: Bench, service: private.Private, client: Connection) -> list[str]:
    """Many at once, beside the peers that are here; which those are."""
    with ExitStack() as stack:
        here = [way for way, (library, _) in PEERS.items() if peers.is_here(library)]
        for library in dict.fromkeys(library for library, _ in PEERS.values()):
            if not peers.is_here(library):
                bench.note(f"{library} is not here and is left out (pip install 'tsched[bench]')")
        ways: dict[str, Callable[[], Sample]] = {OURS: partial(by_client, service, client, CALLS)}
        ways |= {way: partial(by_peer, stack.enter_context(PEERS[way][1]())) for way in here}
        by_client(service, client, WARM_UP)
        bench.ask(ways, BULK_ROUNDS)
    return here


def tell_bulk(bench: Bench, here: list[str]) -> None:
    ways = [OURS, *here]
    rows = [
        (
            way,
            f"{bench.median(way, 'calls_s'):,.0f}",
            bench.range(way, "calls_s"),
            f"{bench.ratio(OURS, way, 'calls_s'):.2f}",
        )
        for way in ways
    ]
    bench.table(("median of the rounds", "calls a second", "lowest to highest", "tsched is so many times it"), rows)
    kinds = ", ".join(f"{kind} {bench.median(OURS, f'{kind}_us'):.0f} us" for kind in private.KINDS)
    bench.note(f"processor time of a call: {kinds}; submitted at {bench.median(OURS, 'submitted_s'):,.0f}/s")
    if here:
        best = max(here, key=lambda way: bench.median(way, "calls_s"))
        bench.at_least(f"calls, of {best}", bench.ratio(OURS, best, "calls_s"), 3, "")
    bench.at_least("calls", bench.median(OURS, "calls_s"), 6000, "/s")


def round_trips(bench: Bench, service: private.Private, client: Connection) -> None:
    """One by one."""
    with grpc.insecure_channel(endpoint.target(service.socket)) as channel:
        ways = {"Run": partial(by_run, client), "SubmitTask": partial(by_predecessor, TaskSchedulerStub(channel))}
        bench.ask({way: partial(trips, ask) for way, ask in ways.items()})
    keys = ("p50_ms", "p95_ms", "p99_ms", "min_ms", "max_ms")
    rows = [(way, *(f"{bench.median(way, key):.2f}" for key in keys)) for way in ways]
    bench.table(("ms there and back, medians of the rounds", "p50", "p95", "p99", "least", "most"), rows)
    bench.at_most("there and back: p50", bench.median("Run", "p50_ms"), 6, " ms")
    bench.at_most("there and back: p99", bench.median("Run", "p99_ms"), 25, " ms")


def main() -> int:
    bench = Bench("calls", f"{CALLS:,} calls at once, results fetched; and {TRIPS} one after the other")
    with private.service() as service, Connection(service.socket) as client:
        here = bulk(bench, service, client)
        round_trips(bench, service, client)
    tell_bulk(bench, here)
    bench.close()
    return 0


if __name__ == "__main__":
    sys.exit(main())
