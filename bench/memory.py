"""What an idle service costs in memory: its supervisor, its executors, and the warm runner each of them keeps.

    python bench/memory.py

PSS, which counts a page that several share once over all of them (smaps_rollup of proc(5)), after 200 tasks ran and
all runners but the warm ones have left. Beside it a bare grpc.aio server, measured after the service has ended, for the
two would share pages and each look smaller than it is. This program itself loads no gRPC, for the same reason.
"""

from __future__ import annotations

import sys
import tempfile
import time
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


def service_mib() -> Sample:
    """A service from its start to its rest."""
    with private.service(CONFIG) as service:
        lines = "task\n" * TASKS
        service.cli("run", "--each-line", "-", "--", "true", input=lines)
        runners = [pid for executor in service.executors for pid in resting(executor)]
        parts = {"supervisor": [service.pid], "executors": service.executors, "runners": runners}
        sample: dict[str, float] = {f"{kind}_mib": sum(map(pss_mib, pids)) for kind, pids in parts.items()}
        return {"sum_mib": sum(sample.values()), **sample, "processes": 1 + len(service.executors) + len(runners)}


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
        return {"sum_mib": pss_mib(process.pid), "processes": 1}
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
        rows.append((way, processes, *own, f"{bench.median(way, 'sum_mib'):.1f}", bench.range(way, "sum_mib", ".1f")))
    bench.table(("PSS in MiB, medians of the rounds", "processes", *kinds, "sum", "lowest to highest"), rows)
    bench.at_most("tsched, idle: sum", bench.median(SERVICE, "sum_mib"), 130, " MiB")
    bench.close()
    return 0


if __name__ == "__main__":
    sys.exit(main())
