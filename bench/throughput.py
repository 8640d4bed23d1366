"""How many small commands a second, from the first submission until all results are there, output kept, durable.

    python bench/throughput.py

The same number of `true`, two at a time, by: tsched through its Python client (one Submit, one Wait), tsched through
its command line (`seq N | tsched run --each-line -`, the whole command), task-spooler (`tsp -S 2`, one `tsp true`
each), and `xargs -P2`, which keeps nothing and is the floor of what starting processes costs. `sh -c true` is the same
with a shell in between, as a command given as one string has. A service of default configuration runs throughout.
"""

from __future__ import annotations

import resource
import subprocess
import sys
import tempfile
import time
from functools import partial
from pathlib import Path

import private

import support
from support import Bench, Sample, few
from tsched.client.connection import Connection
from tsched.proto import api_pb2 as api

TASKS = few(2000, 60)
WARM_UP = few(200, 10)
TSP_WARM_UP = 20
TSP_AHEAD = 800
"""task-spooler serves a thousand connections, one for each waiting job, and then lets its caller wait for ever."""

ARGV = api.Command(argv=api.Argv(args=["true"]))
SHELL = api.Command(shell="true")
TSP_LOOP = f"""
first=$(tsp true)
number=1
while [ $number -lt $1 ]; do
    tsp true > /dev/null
    number=$((number + 1))
    [ $((number % 100)) -ne 0 ] || [ $number -lt {TSP_AHEAD} ] || tsp -w $((first + number - {TSP_AHEAD}))
done
tsp -w $((first + number - 2))
tsp -w $((first + number - 1))
"""


def by_client(service: private.Private, client: Connection, command: api.Command, count: int = TASKS) -> Sample:
    """One submission, one wait; processor time by kind of process."""
    common = api.TaskSpec(command=command, cwd=str(service.base))
    before, began = service.cpu_s(), time.perf_counter()
    ids = [each.id for each in client.submit([api.TaskSpec()] * count, common=common)]
    ended = list(client.wait(ids, outcomes=True))
    took_s = time.perf_counter() - began
    assert len(ended) == count
    assert all(task.state == "succeeded" for task in ended)
    return {"tasks_s": count / took_s, **_cpu_us(before, service.cpu_s(), count)}


def _cpu_us(before: dict[str, float], after: dict[str, float], count: int) -> dict[str, float]:
    return {f"{kind}_us": (after[kind] - before[kind]) / count * 1e6 for kind in private.KINDS}


def by_command_line(service: private.Private, words: list[str]) -> Sample:
    """The whole command, from its start to its end."""
    lines = "".join(f"{number}\n" for number in range(TASKS))
    began = time.perf_counter()
    service.cli("run", "--each-line", "-", *words, input=lines)
    return {"tasks_s": TASKS / (time.perf_counter() - began)}


def by_tsp() -> Sample:
    """A server of its own for every round."""
    with tempfile.TemporaryDirectory(prefix="tsp-") as folder:
        env = {"PATH": "/usr/bin:/bin", "TS_SOCKET": f"{folder}/socket", "TMPDIR": folder}
        run = partial(subprocess.run, env=env, cwd=folder, check=True, stdout=subprocess.DEVNULL)
        try:
            run(["tsp", "-S", "2"])
            run(["sh", "-c", TSP_LOOP, "sh", str(TSP_WARM_UP)])
            began = time.perf_counter()
            run(["sh", "-c", TSP_LOOP, "sh", str(TASKS)])
            took_s = time.perf_counter() - began
            kept = sum(path.name.startswith("ts-out.") for path in Path(folder).iterdir())
            assert kept == TASKS + TSP_WARM_UP, kept
        finally:
            run(["tsp", "-K"])
            private.reap()  # its clients, which went into the background
    return {"tasks_s": TASKS / took_s}


def by_xargs(words: list[str]) -> Sample:
    lines = "".join(f"{number}\n" for number in range(TASKS))
    before = _children_s()
    began = time.perf_counter()
    subprocess.run(["xargs", "-P2", "-I{}", *words], input=lines, text=True, check=True)
    took_s = time.perf_counter() - began
    return {"tasks_s": TASKS / took_s, "commands_us": (_children_s() - before) / TASKS * 1e6}


def _children_s() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def main() -> int:
    bench = Bench("throughput", f"{TASKS:,} x true, output kept, results durable")
    with private.service() as service, Connection(service.socket) as client:
        by_client(service, client, ARGV, WARM_UP)
        bench.ask(
            {
                "tsched, client, true": partial(by_client, service, client, ARGV),
                "tsched, run --each-line, true": partial(by_command_line, service, ["--", "true"]),
                **({"tsp -S 2, true": by_tsp} if support.find("tsp", bench, "task-spooler") else {}),
                "xargs -P2, true": partial(by_xargs, ["true"]),
                "tsched, client, sh -c true": partial(by_client, service, client, SHELL),
                "tsched, run --each-line, sh -c true": partial(by_command_line, service, ["--command", "true"]),
                "xargs -P2, sh -c true": partial(by_xargs, ["sh", "-c", "true"]),
            }
        )
    show(bench)
    bench.close()
    return 0


def show(bench: Bench) -> None:
    """The table, where the time goes, and what was to be reached."""
    ways = list(dict.fromkeys(one["way"] for one in bench.rounds))
    rate = {way: bench.median(way, "tasks_s") for way in ways}
    floor = {way: "xargs -P2, sh -c true" if "sh -c" in way else "xargs -P2, true" for way in ways}
    of_floor = {way: bench.ratio(way, floor[way], "tasks_s") for way in ways}
    busy_us = {way: bench.median(way, "machine_busy_s") / TASKS * 1e6 for way in ways}
    rows = [
        (way, f"{rate[way]:,.0f}", bench.range(way, "tasks_s"), f"{of_floor[way]:.2f}", f"{busy_us[way]:,.0f}")
        for way in ways
    ]
    bench.table(("median of the rounds", "tasks/s", "lowest to highest", "of xargs", "CPU us/task, machine"), rows)
    ours = [way for way in ways if "client" in way]
    costs = [(way, *(f"{bench.median(way, f'{kind}_us'):,.0f}" for kind in private.KINDS)) for way in ours]
    costs += [(way, "", "", f"{bench.median(way, 'commands_us'):,.0f}") for way in ways if "xargs" in way]
    bench.table(("CPU us per task", *private.KINDS), costs)
    if "tsp -S 2, true" in rate:
        for way in ("tsched, client, true", "tsched, run --each-line, true"):
            bench.at_least(f"{way}: ratio to tsp -S 2", bench.ratio(way, "tsp -S 2, true", "tasks_s"), 1.0, "x")
    for way in (each for each in ways if each.startswith("tsched")):
        bench.at_least(f"{way}: ratio to xargs -P2", of_floor[way], 0.6, "x")


if __name__ == "__main__":
    sys.exit(main())
