"""`python -m tsched.executor --boot-fd N`: one executor, started by the supervisor, which it may outlive."""

from __future__ import annotations

import os

# Before gRPC is imported: its fork handlers kill children of a process that starts many.
os.environ["GRPC_ENABLE_FORK_SUPPORT"] = "0"

import argparse
import asyncio
import gc
import signal
import sys

from ..proto.clock import SystemClock
from ..proto.cores import no_core_dump
from ..proto.sealing import sealer
from . import kernel
from .boot import Boot
from .service import Executor

STOPS = (signal.SIGTERM, signal.SIGINT)
GARBAGE = 20_000
"""So many new objects are looked through for garbage at a time: most of ours go without."""


async def serve(boot: Boot) -> int:
    """Run the executor to its end; its exit code."""
    executor = Executor(boot, SystemClock(), sealer(boot.data_key))
    for number in STOPS:
        executor.loop.add_signal_handler(number, executor.leave_if_idle)
    code = await executor.run()
    signal.pthread_sigmask(signal.SIG_BLOCK, STOPS)  # one more while we leave is no reason to die of it
    return code


def main() -> None:
    """Read the boot pipe, take over what falls to us, serve."""
    parser = argparse.ArgumentParser(prog="tsched.executor")
    parser.add_argument("--boot-fd", type=int, required=True)
    boot = Boot.read(parser.parse_args().boot_fd)
    os.chdir("/")
    kernel.become_subreaper()
    no_core_dump()
    gc.freeze()  # what was imported stays, and need not be looked through again and again
    gc.set_threshold(GARBAGE)
    sys.exit(asyncio.run(serve(boot)))


main()
