"""What one call of the command line costs: its wall time and its processor time.

    python bench/commands.py

`list` (of 20 tasks), `schedule`, `--help` and `--version`, each from its start to its end, beside what the same
interpreter needs to load gRPC (`python -c "import grpc"`) and to do nothing (`python -c pass`).
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Sequence
from functools import partial
from pathlib import Path

import private

from support import Bench, Sample, few

RUNS = few(15, 2)
STORED = 20


def as_typed() -> list[str]:
    """`tsched` as it was installed beside this interpreter."""
    script = Path(sys.executable).with_name("tsched")
    return [str(script)] if script.exists() else private.TSCHED


def call(words: Sequence[str], env: dict[str, str]) -> Sample:
    """Run it to its end, its output thrown away."""
    quiet = [(os.POSIX_SPAWN_OPEN, fd, os.devnull, os.O_RDWR, 0) for fd in (0, 1, 2)]
    began = time.perf_counter()
    pid = os.posix_spawn(words[0], words, env, file_actions=quiet)
    _, status, used = os.wait4(pid, 0)
    wall_ms = (time.perf_counter() - began) * 1000
    assert os.waitstatus_to_exitcode(status) == 0, words
    return {"wall_ms": wall_ms, "cpu_ms": (used.ru_utime + used.ru_stime) * 1000}


def main() -> int:
    bench = Bench("commands", f"calls of the command line, {RUNS} times in turn, {STORED} tasks in the store")
    python, tsched = [sys.executable, "-P", "-c"], as_typed()
    later = ["schedule", "--in", "1d", "--command", "true"]
    words = {
        "tsched list": [*tsched, "list"],
        "tsched schedule": [*tsched, *later],
        "tsched --help": [*tsched, "--help"],
        "tsched --version": [*tsched, "--version"],
        "python, import grpc": [*python, "import grpc"],
        "python, pass": [*python, "pass"],
    }
    with private.service() as service:
        service.cli("run", "--detach", "--each-line", "-", "--command", "true", input="task\n" * STORED)
        service.cli("wait", *(task["id"] for task in service.json("list")))
        bench.ask({way: partial(call, each, service.env) for way, each in words.items()}, RUNS)
    of_grpc = {way: bench.ratio(way, "python, import grpc", "wall_ms") for way in words}
    rows = [
        (
            way,
            f"{bench.median(way, 'wall_ms'):.0f}",
            bench.range(way, "wall_ms"),
            f"{bench.median(way, 'cpu_ms'):.0f}",
            f"{of_grpc[way]:.2f}",
        )
        for way in words
    ]
    bench.table(("medians of all runs", "wall ms", "least to most", "CPU ms", "of import grpc"), rows)
    bench.at_most("tsched list: ratio to import grpc", of_grpc["tsched list"], 1.5, "x")
    bench.close()
    return 0


if __name__ == "__main__":
    sys.exit(main())
