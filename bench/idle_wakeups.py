"""How often an idle service wakes up, beside bare idle gRPC processes measured in the same seconds.

    python bench/idle_wakeups.py [SECONDS]

A wake-up is a voluntary context switch, as /proc/PID/task/TID/status counts them. gRPC's own threads wake by
themselves, each process's at a rate of its own; they are told by their names and listed apart. The bare processes have
an open stream that carried a few messages, as a supervisor and its executors have.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

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


def bare(source: str, socket: Path) -> subprocess.Popen[str]:
    """Start a bare gRPC process and wait until it is ready."""
    process = subprocess.Popen([sys.executable, "-c", source, str(socket)], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    process.stdout.readline()
    return process


def main() -> None:
    """Measure and print."""
    seconds = float(sys.argv[1]) if len(sys.argv) > 1 else 20.0
    tsched = str(Path(sys.executable).with_name("tsched"))
    with tempfile.TemporaryDirectory(prefix="ts-") as base:
        env = {
            **os.environ,
            "TSCHED_STATE_DIR": f"{base}/state",
            "TSCHED_SOCKET": f"{base}/s",
            "XDG_RUNTIME_DIR": base,
        }
        subprocess.run([tsched, "up", "-d"], env=env, check=True, stdout=subprocess.DEVNULL)
        server = bare(BARE_SERVER, Path(base) / "bare")
        client = bare(BARE_CLIENT, Path(base) / "bare")
        try:
            subprocess.run([tsched, "run", "--", "true"], env=env, check=True)
            status = json.loads(subprocess.check_output([tsched, "status", "--json"], env=env))
            time.sleep(3)
            pids = {"bare gRPC server": server.pid, "bare gRPC client": client.pid, "supervisor": status["pid"]}
            pids |= {f"executor {n}": each["pid"] for n, each in enumerate(status["executors"], 1)}
            before = {name: wakeups(pid) for name, pid in pids.items()}
            time.sleep(seconds)
            print(f"{'wake-ups/s over ' + format(seconds, 'g') + ' s':24}  gRPC's threads    all others")
            for name, pid in pids.items():
                rates = [(now - then) / seconds for now, then in zip(wakeups(pid), before[name], strict=True)]
                print(f"{name:24}  {rates[0]:14.2f}  {rates[1]:12.2f}")
        finally:
            subprocess.run([tsched, "down"], env=env, check=True, stdout=subprocess.DEVNULL)
            for process in (server, client):
                process.kill()
                process.communicate()


if __name__ == "__main__":
    main()
