"""What the programs of this folder have in common: rounds, quiet machines, percentiles, tables, targets, raw results.

`Bench` asks several ways of doing the same in turn (A B C A B C ...), so that whatever else the machine does falls on
all of them, and compares medians over the rounds. BENCH_QUICK=1 makes everything small, to see that a program works;
its figures mean nothing. BENCH_RESULTS names the folder of the raw results (default: bench/results).
"""

from __future__ import annotations

import io
import json
import math
import os
import platform
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import psutil

from tsched.proto.clock import SystemClock

QUICK = os.environ.get("BENCH_QUICK", "") not in ("", "0")
RESULTS = Path(os.environ.get("BENCH_RESULTS") or Path(__file__).with_name("results"))
ROUNDS = 1 if QUICK else 5
QUIET_CORES = 0.2
QUIET_SAMPLE_S = 0.25
QUIET_LIMIT_S = 5.0
TICKS = os.sysconf("SC_CLK_TCK")
CLOCK = SystemClock()

STAMP = r"""
#include <fcntl.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>
int main(int argc, char **argv) {
    struct timespec now;
    char line[64];
    clock_gettime(CLOCK_REALTIME, &now);
    int length = snprintf(line, sizeof line, "%s %lld\n", argv[2], now.tv_sec * 1000000000LL + now.tv_nsec);
    int file = open(argv[1], O_WRONLY | O_CREAT | O_APPEND, 0600);
    return argc == 3 && file >= 0 && write(file, line, length) == length ? 0 : 1;
}
"""
STAMP_SCRIPT = '#!/bin/sh\nnow=$(date +%s%N)\necho "$2 $now" >> "$1"\n'

Sample = Mapping[str, Any]
"""What one way came to in one round."""


def few(full: int, quick: int) -> int:
    """How many: `quick` when it only matters that the program works."""
    return quick if QUICK else full


def percentile(values: Sequence[float], percent: float) -> float:
    """The smallest value that so many percent of all do not exceed (nearest rank): one that did occur."""
    return sorted(values)[max(0, math.ceil(len(values) * percent / 100) - 1)]


def spread(values: Sequence[float], unit: str) -> dict[str, float]:
    """Median, p99 and the ends, as a sample."""
    return {
        f"p50_{unit}": percentile(values, 50),
        f"p99_{unit}": percentile(values, 99),
        f"min_{unit}": min(values),
        f"max_{unit}": max(values),
    }


class Bench:
    """One run of one program: it asks, keeps everything, prints a table, tells of targets, writes the raw results."""

    def __init__(self, name: str, about: str) -> None:
        self.name = name
        self.rounds: list[dict[str, Any]] = []
        self.targets: list[dict[str, Any]] = []
        self.notes: list[str] = []
        self.machine = machine()
        self._began_us = CLOCK.now_us()
        if isinstance(sys.stdout, io.TextIOWrapper):
            sys.stdout.reconfigure(line_buffering=True)  # also where somebody reads along through a pipe
        print(f"\n== {name}: {about}")

    def ask(self, ways: Mapping[str, Callable[[], Sample]], rounds: int = ROUNDS) -> None:
        """Every way once a round, in turn; the machine's load before the round is kept with what came out."""
        for number in range(1, rounds + 1):
            load = settle()
            for way, asked in ways.items():
                busy_before_s, began = busy_s(), time.perf_counter()
                sample = dict(asked())
                took = {"took_s": time.perf_counter() - began, "machine_busy_s": busy_s() - busy_before_s}
                self.keep(number, way, load, {**took, **sample})

    def keep(self, number: int, way: str, load: float | None, sample: Sample) -> None:
        """Keep what a way came to in a round before which others used that many cores."""
        self.rounds.append({"round": number, "way": way, "others_cores_before": load, **sample})

    def values(self, way: str, key: str) -> list[Any]:
        """What a way came to, round by round."""
        return [one[key] for one in self.rounds if one["way"] == way and key in one]

    def median(self, way: str, key: str) -> float:
        return statistics.median(self.values(way, key))

    def ratio(self, way: str, to: str, key: str) -> float:
        """How one compares to another of the same round, in the median: rounds differ in the machine's load."""
        return statistics.median(a / b for a, b in zip(self.values(way, key), self.values(to, key), strict=True))

    def range(self, way: str, key: str, form: str = ",.0f") -> str:
        """Lowest and highest of the rounds."""
        values = self.values(way, key)
        return f"{min(values):{form}} to {max(values):{form}}"

    def at_least(self, what: str, value: float, limit: float, unit: str = "") -> None:
        self._target(what, value, limit, unit, met=value >= limit, sign=">=")

    def at_most(self, what: str, value: float, limit: float, unit: str = "") -> None:
        self._target(what, value, limit, unit, met=value <= limit, sign="<=")

    def _target(self, what: str, value: float, limit: float, unit: str, *, met: bool, sign: str) -> None:
        self.targets.append({"what": what, "value": value, "limit": limit, "sign": sign, "unit": unit, "met": met})

    def note(self, text: str) -> None:
        """Something a reader must know of this run."""
        self.notes.append(text)
        print(f"   {text}")

    def table(self, head: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
        print(f"\n{table(head, rows)}")

    def close(self) -> None:
        """Tell of the targets and write what was measured."""
        loads = list({one["round"]: one["others_cores_before"] or 0.0 for one in self.rounds}.values())
        restless = sum(load > QUIET_CORES for load in loads)
        if self.targets:
            self.table(("target", "measured", "", ""), [_verdict(each) for each in self.targets])
        if restless:
            print(
                f"The machine was NOT quiet before {restless} of {len(loads)} rounds "
                f"(others used up to {max(loads):.1f} cores): believe ratios more than figures, and neither much."
            )
        print(f"raw results: {self._write()}")

    def _write(self) -> Path:
        RESULTS.mkdir(parents=True, exist_ok=True)
        path = RESULTS / f"{self.name}-{time.strftime('%Y%m%dT%H%M%SZ', time.gmtime(self._began_us / 1e6))}.json"
        kept = {key: getattr(self, key) for key in ("name", "machine", "targets", "notes", "rounds")}
        path.write_text(json.dumps({"quick": QUICK, **kept}, indent=1) + "\n")
        return path


def _verdict(target: Mapping[str, Any]) -> Sequence[str]:
    value, limit, unit = target["value"], target["limit"], target["unit"]
    off = abs(value - limit) / limit * 100 if limit else 0.0
    verdict = "met" if target["met"] else f"MISSED by {off:.0f} %" if limit else "MISSED"
    return (f"{target['what']} {target['sign']} {limit:,g}{unit}", f"{value:,.2f}{unit}", verdict, "")


def table(head: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    """Columns; the first one to the left, the others to the right."""
    lines = [[str(word) for word in line] for line in (head, *rows)]
    widths = [max(len(line[column]) for line in lines) for column in range(len(head))]
    lines.insert(1, ["-" * width for width in widths])
    return "\n".join("  ".join([line[0].ljust(widths[0]), *map(str.rjust, line[1:], widths[1:])]) for line in lines)


# The machine.


def machine() -> dict[str, Any]:
    """What all this was measured on."""
    folder = Path(tempfile.gettempdir()).resolve()
    return {
        "at": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(CLOCK.now_us() / 1e6)),
        "cores": os.cpu_count(),
        "cpu": _cpu_model(),
        "memory_gib": round(psutil.virtual_memory().total / 2**30, 1),
        "kernel": platform.release(),
        "python": platform.python_version(),
        "file_system": f"{_file_system(folder)} ({folder})",
        "load": os.getloadavg(),
    }


def _cpu_model() -> str:
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), platform.machine())


def _file_system(folder: Path) -> str:
    mounts = [part for part in psutil.disk_partitions(all=True) if folder.is_relative_to(part.mountpoint)]
    return max(mounts, key=lambda part: len(part.mountpoint)).fstype if mounts else "?"


def busy_s() -> float:
    """Processor seconds the whole machine has used so far, those its host took from it included."""
    user, nice, system, _idle, _wait, irq, softirq, steal = map(
        int, Path("/proc/stat").read_text().split("\n", 1)[0].split()[1:9]
    )
    return (user + nice + system + irq + softirq + steal) / TICKS


def settle() -> float | None:
    """Wait until the machine is quiet, not for ever; how many cores were used at last. We do nothing meanwhile."""
    if QUICK:
        return None
    end = time.monotonic() + QUIET_LIMIT_S
    while True:
        before_s, began = busy_s(), time.monotonic()
        time.sleep(QUIET_SAMPLE_S)
        used = (busy_s() - before_s) / (time.monotonic() - began)
        if used < QUIET_CORES or time.monotonic() > end:
            return round(used, 2)


# Programs beside tsched.


def find(program: str, bench: Bench, package: str) -> str | None:
    """Where a peer is; when it is not here that is said, and it is left out."""
    path = shutil.which(program)
    if path is None:
        bench.note(f"{program} is not here and is left out (apt-get install {package})")
    return path


def stamp(folder: Path, bench: Bench) -> str:
    """A program `PROGRAM FILE TAG` that reads the clock first of all and appends `TAG NANOSECONDS` to the file."""
    path = folder / "stamp"
    compiler = shutil.which("gcc") or shutil.which("cc")
    if compiler:
        argv = [compiler, "-O2", "-static", "-x", "c", "-o", str(path), "-"]
        if subprocess.run(argv, input=STAMP, text=True, capture_output=True, check=False).returncode == 0:
            return str(path)
    bench.note("no C compiler that links statically: a shell and date(1) tell the time, which takes them a while")
    path.write_text(STAMP_SCRIPT)
    path.chmod(0o700)
    return str(path)


def stamps_us(file: Path) -> dict[str, float]:
    """What the stamping programs wrote: when each started."""
    lines = map(str.split, file.read_text().splitlines())
    return {tag: int(at_ns) / 1000 for tag, at_ns in lines}


def python_program(source: str, *args: str, **options: Any) -> subprocess.Popen[str]:
    """A bare Python program beside ours, started, and waited for until it says that it is ready."""
    process = subprocess.Popen(
        [sys.executable, "-P", "-c", source, *args], stdout=subprocess.PIPE, text=True, **options
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n", "the bare program did not start"
    return process
