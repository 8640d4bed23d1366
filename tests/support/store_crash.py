"""What tests that kill a store share: the victim, what it was told, and what must be true afterwards."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections import defaultdict
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from support import store_victim

if TYPE_CHECKING:
    from collections.abc import Sequence

    from support.keep import Keep

TESTS = Path(__file__).resolve().parent.parent
TURNS = 3


def everything_submitted() -> list[str]:
    """All keys of a traced victim."""
    return [key for turn in range(TURNS) for key in store_victim.keys_of("s", turn)]


def command(folder: Path, turn_of: str, turns: int) -> list[str]:
    return [sys.executable, "-m", "support.store_victim", str(folder), turn_of, str(turns)]


def environment() -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": str(TESTS)}


def acknowledged(told: Sequence[str]) -> dict[str, list[list[str]]]:
    """What was told, by its first word."""
    facts: dict[str, list[list[str]]] = defaultdict(list)
    for line in told:
        word, *rest = line.split()
        facts[word].append(rest)
    return facts


def holds(keep: Keep, told: Sequence[str]) -> None:
    """Everything that was told is true."""
    facts = acknowledged(told)
    for key, task_id in facts["submitted"]:
        row = keep.get(task_id)
        assert row.payload == key.encode() * 20
    for attempt_id, task_id in facts["claimed"]:
        assert [str(attempt.attempt_id) for attempt in keep.attempts(task_id)] == [attempt_id]
    for _, task_id in facts["finished"]:
        assert keep.get(task_id).state == "succeeded"


def nothing_twice(keep: Keep, told: Sequence[str], keys: Sequence[str]) -> None:
    """Every key that was, or may have been, submitted is one task; repeating it gives that one."""
    ids = {key: task_id for key, task_id in acknowledged(told)["submitted"]}  # noqa: C416 - pairs are lists
    before = sum(keep.counts().values())
    answers = keep.submit(*store_victim.drafts_of(keys, keep.clock.us))
    for key, answer in zip(keys, answers, strict=True):
        assert answer.existed or key not in ids
        assert ids.get(key, answer.id) == answer.id
    assert sum(keep.counts().values()) == before + sum(not answer.existed for answer in answers)
    assert len({answer.id for answer in answers}) == len(keys)


@cache
def strace() -> str | None:
    """Why calls cannot be injected here, if so."""
    if shutil.which("strace") is None:
        return "there is no strace"
    tried = subprocess.run(["strace", "-qq", "-e", "trace=none", "true"], check=False, capture_output=True, text=True)
    return None if tried.returncode == 0 else f"strace may not trace: {tried.stderr.strip()}"


needs_strace = pytest.mark.skipif(strace() is not None, reason=f"this takes a strace that may trace; here {strace()}")


def traced(folder: Path, *options: str) -> subprocess.CompletedProcess[str]:
    """A victim's whole way, under strace; the trace lies beside the folder."""
    return subprocess.run(
        ["strace", "-f", "-qq", "-o", str(folder.with_suffix(".trace")), *options, *command(folder, "s", TURNS)],
        check=False,
        stdout=subprocess.PIPE,
        env=environment(),
        text=True,
    )
