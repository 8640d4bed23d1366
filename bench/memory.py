"""What an idle service costs in memory: its supervisor, its executors, and the warm runner each of them keeps.

    python bench/memory.py

PSS, which counts a page that several share once over all of them (smaps_rollup of proc(5)), after 200 tasks ran and
all runners but the warm ones have left. Beside it a bare grpc.aio server, measured after the service has ended, for the
two would share pages and each look smaller than it is. This program itself loads no gRPC, for the same reason. Where
others that load it run too, PSS is too small; so it is also told what it were without them: a file's clean pages once,
as many as the process has that uses most of them, and everything else as often as it is there (smaps).
"""

from __future__ import annotations

import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterable, Iterator
from pathlib import Path

import private
import psutil

import support
from support import Bench, Sample, few

TASKS = few(200, 8)
RUNNER_IDLE_S = 0.3
PATIENCE_S = 20.0
MIB = 1 << 20
SERVICE, BARE = "tsched, idle", "bare grpc.aio server"
CONFIG = f"[executors]\nrunner_idle_s = {RUNNER_IDLE_S}\n"
BARE_SERVER = """
import asyncio, os, sys
os.environ["GRPC_ENABLE_FORK_SUPPORT"] = "0"
import grpc
async def main():
    server = grpc.aio.server()
    server.add_insecure_port("unix:" + sys.argv[1])
    await server.start()
    print("ready", flush=True)
    await server.wait_for_termination()
asyncio.run(main())
"""


def pss_mib(pid: int) -> float:
    """Its share of all memory."""
    lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("Pss:")) * 1024 / MIB


def alone_mib(pids: Iterable[int]) -> float:
    """What these processes were, had nobody else a page of theirs."""
    shared: defaultdict[tuple[str, ...], int] = defaultdict(int)
    own = 0
    for pid in pids:
        for place, sizes in mappings(pid):
            dirty = sizes["Private_Dirty"] + sizes["Shared_Dirty"]
            clean = sizes["Rss"] - dirty
            own += dirty if place[1] != "0" else sizes["Rss"]
            shared[place] = max(shared[place], clean if place[1] != "0" else 0)
    return (own + sum(shared.values())) * 1024 / MIB


def mappings(pid: int) -> Iterator[tuple[tuple[str, ...], dict[str, int]]]:
    """Each mapping: device, inode and offset, and its sizes in KiB."""
    place: tuple[str, ...] = ()
    sizes: dict[str, int] = {}
    for line in Path(f"/proc/{pid}/smaps").read_text().splitlines():
        words = line.split()
        if not words[0].endswith(":"):
            place, sizes = (words[3], words[4], words[2]), {}
        elif words[0] == "VmFlags:":
            yield place, sizes
        elif words[-1] == "kB":
            sizes[words[0].removesuffix(":")] = int(words[1])


def service_mib() -> Sample:
    """A service from its start to its rest."""
    with private.service(CONFIG) as service:
        lines = "task\n" * TASKS
        service.cli("run", "--each-line", "-", "--", "true", input=lines)
        runners = [pid for executor in service.executors for pid in resting(executor)]
        parts = {"supervisor": [service.pid], "executors": service.executors, "runners": runners}
        sample: dict[str, float] = {f"{kind}_mib": sum(map(pss_mib, pids)) for kind, pids in parts.items()}
        pids = [pid for those in parts.values() for pid in those]
        return {"sum_mib": sum(sample.values()), "alone_mib": alone_mib(pids), "processes": len(pids), **sample}


def resting(executor: int) -> list[int]:
    """Its runners, when only one is left."""
    end = time.monotonic() + PATIENCE_S
    while len(runners := psutil.Process(executor).children()) > 1:
        if time.monotonic() > end:
            raise RuntimeError(f"executor {executor} keeps {len(runners)} idle runners")
        psutil.wait_procs(runners, timeout=RUNNER_IDLE_S)
    return [runner.pid for runner in runners]


def bare_mib(folder: Path) -> Sample:
    process = support.python_program(BARE_SERVER, str(folder / "bare"))
    try:
        return {"sum_mib": pss_mib(process.pid), "alone_mib": alone_mib([process.pid]), "processes": 1}
    finally:
        process.kill()
        process.communicate()


def main() -> int:
    bench = Bench("memory", f"an idle service after {TASKS} tasks")
    with tempfile.TemporaryDirectory(prefix="ts-") as folder:
        bench.ask({SERVICE: service_mib, BARE: lambda: bare_mib(Path(folder))})
    kinds = ("supervisor", "executors", "runners")
    rows: list[tuple[object, ...]] = []
    for way in (SERVICE, BARE):
        own = [f"{bench.median(way, f'{kind}_mib'):.1f}" if way == SERVICE else "" for kind in kinds]
        processes = f"{bench.median(way, 'processes'):.0f}"
        sums = [f"{bench.median(way, key):.1f}" for key in ("sum_mib", "alone_mib")]
        rows.append((way, processes, *own, *sums, bench.range(way, "alone_mib", ".1f")))
    head = ("PSS in MiB, medians of the rounds", "processes", *kinds, "sum", "had nobody else", "lowest to highest")
    bench.table(head, rows)
    bench.at_most("tsched, idle: sum", bench.median(SERVICE, "sum_mib"), 130, " MiB")
    bench.at_most("tsched, idle: had nobody else a page of it", bench.median(SERVICE, "alone_mib"), 130, " MiB")
    bench.close()
    return 0


if __name__ == "__main__":
    sys.exit(main())
