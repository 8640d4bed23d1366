"""How often an idle service wakes up, beside bare idle gRPC processes measured in the same seconds.

    python bench/idle_wakeups.py [SECONDS]

A wake-up is a voluntary context switch of any thread, as /proc/PID/task/TID/status counts them. gRPC's own threads wake
by themselves; the bare processes show how often, so that the difference is ours.
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
async def main():
    server = grpc.aio.server()
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
        await channel.channel_ready()
        print("ready", flush=True)
        await asyncio.Event().wait()
asyncio.run(main())
"""


def wakeups(pid: int) -> int:
    """Voluntary context switches of all threads so far."""
    total = 0
    for thread in Path(f"/proc/{pid}/task").iterdir():
        for line in (thread / "status").read_text().splitlines():
            if line.startswith("voluntary_ctxt_switches"):
                total += int(line.split()[1])
    return total


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
            for name, pid in pids.items():
                print(f"{name:20} {(wakeups(pid) - before[name]) / seconds:8.2f} wake-ups/s")
        finally:
            subprocess.run([tsched, "down"], env=env, check=True, stdout=subprocess.DEVNULL)
            for process in (server, client):
                process.kill()
                process.communicate()


if __name__ == "__main__":
    main()
