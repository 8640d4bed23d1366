"""P1, P2: killed at any moment, the store has everything it acknowledged, nothing twice, and is sound.

Kills come at random moments over one long-lived store, and at enumerated system calls of a new one: each write and each
sync of the way from nothing to a finished task is a point to die at.
"""

from __future__ import annotations

import random
import re
import shutil
import signal
import subprocess
from collections import defaultdict
from typing import TYPE_CHECKING

import pytest

from support import store_victim
from support.keep import kept
from support.store_crash import (
    acknowledged,
    command,
    environment,
    everything_submitted,
    holds,
    needs_strace,
    nothing_twice,
    traced,
)
from tsched.store import tasks

if TYPE_CHECKING:
    from pathlib import Path

ROUNDS = 8
POINTS = 4
CREATION = 3  # the first calls in an empty folder: the file is not a database yet, or only half
CALLS = ("pwrite64", "fdatasync")


def killed_after(folder: Path, turn_of: str, lines: int) -> list[str]:
    """What a victim told until it was killed, when it had told so many lines."""
    with subprocess.Popen(
        command(folder, turn_of, 10_000), stdout=subprocess.PIPE, env=environment(), text=True
    ) as victim:
        assert victim.stdout
        told = [victim.stdout.readline() for _ in range(lines)]
        victim.send_signal(signal.SIGKILL)
        told += victim.stdout.readlines()
    assert victim.returncode == -signal.SIGKILL
    return [line for line in told if line.endswith("\n")]


def test_a_store_killed_again_and_again_keeps_what_it_acknowledged(tmp_path: Path) -> None:
    seed = random.randrange(2**32)
    print("seed", seed)
    dice = random.Random(seed)
    everything: list[str] = []
    for number in range(ROUNDS):
        told = killed_after(tmp_path, str(number), dice.randrange(1, 60))
        everything += told
        turns = len(acknowledged(told)["submitted"]) // store_victim.BATCH + 1
        with kept(tmp_path) as keep:
            holds(keep, told)
            nothing_twice(keep, told, [key for turn in range(turns) for key in store_victim.keys_of(str(number), turn)])
            keep.lose(f"executor-{number}")
            for task_id in [
                row.id for row in keep.ask(tasks.list_page, states=["ready"], queue=None, before_seq=None, limit=1000)
            ]:
                keep.do(tasks.cancel, id=task_id, now_us=keep.clock.us)
    with kept(tmp_path) as keep:
        facts = acknowledged(everything)
        assert all(keep.get(task_id) for _, task_id in facts["submitted"])
        attempts = [attempt_id for attempt_id, _ in facts["claimed"]]
        assert len(attempts) == len(set(attempts)), "an attempt id came back"


def scene(folder: Path, *, new: bool) -> Path:
    """A folder to work in: empty, or with a store.

    strace counts calls by thread. In an empty folder the thread that opens and migrates makes the first ones; over a
    store that is there, the writer does.
    """
    folder.mkdir()
    if not new:
        with kept(folder) as keep:
            keep.submit(*(keep.draft(state="scheduled", payload=b"old" * 500) for _ in range(20)))
    return folder


def calls_of(folder: Path, call: str) -> int:
    """How often, at most, one thread makes a call on the way."""
    traced(folder, "-e", f"trace={call}")
    made: dict[str, int] = defaultdict(int)
    for line in folder.with_suffix(".trace").read_text().splitlines():
        if re.match(rf"\d+ +{call}\(", line):
            made[line.split()[0]] += 1
    return max(made.values(), default=0)


def die_at(folder: Path, call: str, point: int) -> None:
    died = traced(folder, "-e", f"trace={call}", "-e", f"inject={call}:signal=KILL:when={point}")
    told = died.stdout.splitlines(keepends=True)
    with kept(folder) as keep:
        holds(keep, told)
        nothing_twice(keep, told, everything_submitted())
        assert keep.sql("PRAGMA auto_vacuum") == [(2,)]
        keep.lose("executor-s")


@needs_strace
@pytest.mark.parametrize("new", [True, False], ids=["new", "grown"])
@pytest.mark.parametrize("call", CALLS)
def test_a_store_killed_at_a_system_call_keeps_what_it_acknowledged(tmp_path: Path, call: str, new: bool) -> None:
    calls = calls_of(scene(tmp_path / "whole", new=new), call)
    step = max(1, calls // POINTS)
    spread = range(1 + random.randrange(step), calls + 1, step)
    for point in sorted({*range(1, CREATION + 1), *spread} if new else spread):
        print(f"{call} {point} of {calls}")
        die_at(scene(tmp_path / f"{call}-{point}", new=new), call, point)


@pytest.mark.slow
@pytest.mark.timeout(1200)
@needs_strace
@pytest.mark.parametrize("new", [True, False], ids=["new", "grown"])
@pytest.mark.parametrize("call", [*CALLS, "ftruncate", "unlink", "openat"])
def test_a_store_killed_at_any_system_call_keeps_what_it_acknowledged(tmp_path: Path, call: str, new: bool) -> None:
    calls = calls_of(scene(tmp_path / "whole", new=new), call)
    for point in range(1, calls + 1):
        print(f"{call} {point} of {calls}")
        die_at(scene(tmp_path / f"{call}-{point}", new=new), call, point)
        shutil.rmtree(tmp_path / f"{call}-{point}")


@needs_strace
def test_a_failed_sync_is_a_fault_and_loses_nothing_that_was_acknowledged(tmp_path: Path) -> None:
    calls = calls_of(scene(tmp_path / "whole", new=False), "fdatasync")
    faults = 0
    for point in (calls - 4, calls // 2, calls // 3):
        folder = scene(tmp_path / str(point), new=False)
        failed = traced(folder, "-e", "trace=fdatasync", "-e", f"inject=fdatasync:error=EIO:when={point}+")
        told = failed.stdout.splitlines(keepends=True)
        faults += bool(acknowledged(told)["fault"])
        with kept(folder) as keep:
            holds(keep, told)
            nothing_twice(keep, told, everything_submitted())
            keep.lose("executor-s")
    assert faults
