"""What encryption at rest costs: the same work by a service with it and by one without, in turn.

    python bench/encryption.py

Submissions a thousand at a time; calls of a function that does nothing, results fetched; 1,000 x `true`; and a command
that writes 64 MiB, from before its submission until all of it is stored.
"""

from __future__ import annotations

import sys
import time
from functools import partial

import calls
import private
import submit
import throughput

from support import Bench, Sample, few
from tsched.client.connection import Connection
from tsched.proto import api_pb2 as api

OFF = '[store]\nencryption = "off"\n'
CALLS = few(5_000, 60)
COMMANDS = few(1_000, 20)
OUTPUT_MIB = few(64, 2)
TRUE = api.Command(argv=api.Argv(args=["true"]))
WRITER = api.TaskSpec(
    command=api.Command(argv=api.Argv(args=["head", "-c", f"{OUTPUT_MIB << 20}", "/dev/zero"])), cwd="/"
)


def of_submissions(_: private.Private, client: Connection) -> Sample:
    return {"a_second": submit.in_batches(client)["per_s"]}


def of_calls(service: private.Private, client: Connection) -> Sample:
    return {"a_second": calls.by_client(service, client, CALLS)["calls_s"]}


def of_commands(service: private.Private, client: Connection) -> Sample:
    return {"a_second": throughput.by_client(service, client, TRUE, COMMANDS)["tasks_s"]}


def of_output(_: private.Private, client: Connection) -> Sample:
    """MiB a second."""
    began = time.perf_counter()
    [task] = client.submit([WRITER])
    [ended] = client.wait([task.id])
    assert ended.state == "succeeded", ended
    return {"a_second": OUTPUT_MIB / (time.perf_counter() - began)}


WORK = {"submissions": of_submissions, "calls": of_calls, "x `true`": of_commands, "MiB of output": of_output}


def main() -> int:
    bench = Bench("encryption", "the same with encryption at rest and without")
    with (
        private.service() as sealing,
        private.service(OFF) as plain,
        Connection(sealing.socket) as sealed,
        Connection(plain.socket) as clear,
    ):
        ways = {}
        for name, work in WORK.items():
            ways[f"{name}, on"], ways[f"{name}, off"] = partial(work, sealing, sealed), partial(work, plain, clear)
        for way in ways.values():
            way()  # warm
        bench.ask(ways)
    rows = [
        (
            name,
            f"{bench.median(f'{name}, on', 'a_second'):,.0f}",
            f"{bench.median(f'{name}, off', 'a_second'):,.0f}",
            f"{bench.ratio(f'{name}, on', f'{name}, off', 'a_second'):.2f}",
        )
        for name in WORK
    ]
    bench.table(("a second, median of the rounds", "on", "off", "on of off"), rows)
    bench.close()
    return 0


if __name__ == "__main__":
    sys.exit(main())
