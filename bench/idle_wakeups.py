"""How often an idle service wakes up, beside bare idle gRPC processes measured in the same seconds.

    python bench/idle_wakeups.py [SECONDS]

A wake-up is a voluntary context switch, as /proc/PID/task/TID/status counts them. gRPC's own threads wake by
themselves, each process's at a rate of its own; they are told by their names and listed apart. The bare processes have
an open stream that carried a few messages, as a supervisor and its executors have.
"""

from __future__ import annotations

import sys
import time
from contextlib import ExitStack
from pathlib import Path

import private

import support
from support import Bench, few, settle

BARE_SERVER = """
import asyncio, os, sys
os.environ["GRPC_ENABLE_FORK_SUPPORT"] = "0"
import grpc
async def echo(requests, context):
    async for request in requests:
        await context.write(request)
class Handler(grpc.GenericRpcHandler):
    def service(self, details):
        return grpc.stream_stream_rpc_method_handler(echo)
async def main():
    server = grpc.aio.server()
    server.add_generic_rpc_handlers((Handler(),))
    server.add_insecure_port("unix:" + sys.argv[1])
    await server.start()
    print("ready", flush=True)
    await server.wait_for_termination()
asyncio.run(main())
"""
BARE_CLIENT = """
import asyncio, os, sys
os.environ["GRPC_ENABLE_FORK_SUPPORT"] = "0"
import grpc
async def main():
    async with grpc.aio.insecure_channel("unix:" + sys.argv[1]) as channel:
        call = channel.stream_stream("/bare/Echo")()
        for _ in range(20):
            await call.write(b"x")
            await call.read()
        waiting = asyncio.ensure_future(call.read())
        print("ready", flush=True)
        await waiting
asyncio.run(main())
"""

GRPC_THREADS = ("event_engine", "lifeguard", "grpc_global_tim", "timer_manager", "resolver-executo", "default-executor")


def wakeups(pid: int) -> tuple[int, int]:
    """Voluntary context switches so far: of gRPC's own threads, of all others."""
    grpc_s = others = 0
    for thread in Path(f"/proc/{pid}/task").iterdir():
        status = (thread / "status").read_text()
        switches = int(status.partition("voluntary_ctxt_switches:")[2].split()[0])
        if status.split("\n", 1)[0].split("\t")[1] in GRPC_THREADS:
            grpc_s += switches
        else:
            others += switches
    return grpc_s, others


def main() -> int:
    seconds = float(sys.argv[1]) if len(sys.argv) > 1 else few(20, 1)
    bench = Bench("idle_wakeups", f"wake-ups of an idle service over {seconds:g} s")
    with private.service() as service, ExitStack() as stack:
        pids = {}
        for name, source in (("bare gRPC server", BARE_SERVER), ("bare gRPC client", BARE_CLIENT)):
            process = support.python_program(source, str(service.base / "bare"))
            stack.callback(process.communicate)
            stack.callback(process.kill)
            pids[name] = process.pid
        service.cli("run", "--", "true")
        pids["supervisor"] = service.pid
        pids |= {f"executor {number}": pid for number, pid in enumerate(service.executors, 1)}
        time.sleep(few(3, 0))  # what follows the start has been done
        load = settle()
        before = {name: wakeups(pid) for name, pid in pids.items()}
        time.sleep(seconds)
        for name, pid in pids.items():
            rates = [(now - then) / seconds for now, then in zip(wakeups(pid), before[name], strict=True)]
            bench.keep(1, name, load, {"grpc_per_s": rates[0], "others_per_s": rates[1]})
    rows = [(one["way"], f"{one['grpc_per_s']:.2f}", f"{one['others_per_s']:.2f}") for one in bench.rounds]
    bench.table(("wake-ups/s", "gRPC's threads", "all others"), rows)
    bench.close()
    return 0


if __name__ == "__main__":
    sys.exit(main())
