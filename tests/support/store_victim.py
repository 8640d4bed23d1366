"""A program that works on a store and tells what was acknowledged, to be killed at any moment.

Run as `python -m support.store_victim FOLDER ROUND TURNS`. A line on stdout is written after the store has answered:
what it says is durable from then on.
"""

from __future__ import annotations

import os
import sys
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from support.keep import ANSWER_S, Keep, chunk, draft, finish_report, start_report
from tsched.store import StoreFault, claims, output, tasks

if TYPE_CHECKING:
    from collections.abc import Sequence
    from concurrent.futures import Future

BATCH = 3


def tell(*words: object) -> None:
    os.write(1, (" ".join(map(str, words)) + "\n").encode())


def keys_of(turn_of: str, turn: int) -> list[str]:
    return [f"key-{turn_of}-{turn}-{number}" for number in range(BATCH)]


def drafts_of(keys: Sequence[str], now_us: int) -> list[Any]:
    return [draft(0, now_us, key=key, payload=key.encode() * 20, content=key.encode()) for key in keys]


def submit(keep: Keep, keys: Sequence[str]) -> list[Future[Any]]:
    """One submission each, so that they meet in a group."""
    return [
        keep.store.write(partial(tasks.submit, drafts=[one], now_us=keep.clock.us))
        for one in drafts_of(keys, keep.clock.us)
    ]


def turn(keep: Keep, executor: str, keys: Sequence[str]) -> None:
    """Submit, run and finish some tasks, and tell each answer."""
    for key, future in zip(keys, submit(keep, keys), strict=True):
        (submitted,) = future.result(ANSWER_S)
        tell("submitted", key, submitted.id)
    claimed = keep.claim(executor, len(keys) - 1)
    for one in claimed:
        tell("claimed", one.attempt_id, one.task_id)
    keep.do(claims.started, reports=[start_report(executor, one, keep.clock.us) for one in claimed])
    keep.do_output(output.append, chunks=[chunk(one.attempt_id, 1, b"text") for one in claimed])
    reports = [finish_report(executor, one, keep.clock.us, stdout_bytes=4) for one in claimed]
    for ended in keep.do(claims.finished, reports=reports):
        tell("finished", ended.attempt_id, ended.task_id)


def main(folder: Path, turn_of: str, turns: int) -> None:
    keep = Keep(folder)
    tell("open")
    executor = keep.executor(f"executor-{turn_of}")
    for number in range(turns):
        turn(keep, executor, keys_of(turn_of, number))
    keep.store.close()
    tell("closed")


if __name__ == "__main__":
    try:
        main(Path(sys.argv[1]), sys.argv[2], int(sys.argv[3]))
    except StoreFault as fault:
        tell("fault", fault)
        sys.exit(3)
