"""What a claim costs with a thousand tasks waiting and with a million, side by side.

    python bench/claim_scale.py [--few 1000] [--many 1000000] [--rounds 2000] [--scattered] [--dir FOLDER]

Both stores are asked in turn, so that whatever else the machine does falls on both. Each claimed batch is handed back
before the next, so that as many wait as before. `command` is the claim alone; `durable` includes the COMMIT and its
fsync, as `synchronous=FULL` asks for, and the way through the writer's thread. Tasks are due in the order they were
submitted, in two priorities; `--scattered` makes them due in no order, so that the first ones lie all over the file:
that costs a page read each, however the queue is indexed.
"""

from __future__ import annotations

import argparse
import random
import sys
import tempfile
import time
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from support import QUICK, Bench, percentile, settle, spread
from tsched.proto.clock import SystemClock
from tsched.store import Store, claims, executors, model, tasks
from tsched.store.cipher import PlainCipher

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tsched.store.db import Db

EXECUTOR = "e" * 32
FILL_BATCH = 5_000
BATCHES = (1, 32)
LIMIT = 1.5


class Side:
    """One store, and how long its claims took."""

    def __init__(self, folder: Path, waiting: int, *, scattered: bool) -> None:
        folder.mkdir()
        self.clock = SystemClock()
        self.store = Store.open(folder, PlainCipher(), self.clock)
        self.waiting = waiting
        self.forget()
        self.store.write(partial(executors.register, row=executor())).result()
        for drafts in batches(waiting, self.clock.now_us(), scattered=scattered):
            self.store.write(partial(tasks.submit, drafts=drafts, now_us=self.clock.now_us())).result()

    def forget(self) -> None:
        """Begin to note anew."""
        self.took_us: dict[str, list[float]] = {"command": [], "durable": []}

    def claim(self, limit: int) -> None:
        """Claim a batch, note what it took, hand it back."""
        began = time.perf_counter_ns()
        claimed = self.store.write(partial(self._timed, limit=limit)).result()
        self.took_us["durable"].append((time.perf_counter_ns() - began) / 1000)
        assert len(claimed) == limit
        ids = [one.attempt_id for one in claimed]
        self.store.write(partial(claims.returned, attempt_ids=ids, executor=EXECUTOR)).result()

    def _timed(self, db: Db, *, limit: int) -> list[model.Claimed]:
        began = time.perf_counter_ns()
        claimed = claims.claim(db, executor=EXECUTOR, queue="default", limit=limit, now_us=self.clock.now_us())
        self.took_us["command"].append((time.perf_counter_ns() - began) / 1000)
        return claimed


def executor() -> model.ExecutorRow:
    return model.ExecutorRow(
        id=EXECUTOR, secret_hash=b"", pid=1, start_ticks=1, boot_id="", version="", started_at_us=1, state="present"
    )


def batches(many: int, now_us: int, *, scattered: bool) -> Iterator[list[model.Draft]]:
    """Drafts in two priorities, due in order or in none."""
    dice = random.Random(many)
    due_us = dice.sample(range(many), many) if scattered else range(many)
    for start in range(0, many, FILL_BATCH):
        numbers = range(start, min(start + FILL_BATCH, many))
        yield [draft(number, dice.choice((0, 0, 0, -1)), now_us - many + due_us[number]) for number in numbers]


def draft(number: int, priority: int, due_at_us: int) -> model.Draft:
    return model.Draft(
        id=None,
        key=f"{number:012}",
        name="",
        queue="default",
        priority=priority,
        state="ready",
        due_at_us=due_at_us,
        payload=b"x" * 200,
        content=number.to_bytes(8, "big"),
        timeout_us=None,
        grace_us=5_000_000,
        on_lost="fail",
        profile="default",
        output_cap_bytes=64 << 20,
    )


def compare(bench: Bench, few: Side, many: Side, limit: int, rounds: int) -> list[tuple[object, ...]]:
    """Ask both in turn; what that came to."""
    load = settle()
    for side in (few, many):
        for _ in range(rounds // 20 + 1):
            side.claim(limit)
        side.forget()
    for _ in range(rounds):
        few.claim(limit)
        many.claim(limit)
    for side in (few, many):
        for what, took_us in side.took_us.items():
            way = f"{side.waiting:,} waiting, {limit} at once, {what}"
            bench.keep(1, way, load, spread(took_us, "us"))
    return [row(bench, limit, what, few, many) for what in few.took_us]


def row(bench: Bench, limit: int, what: str, few: Side, many: Side) -> tuple[object, ...]:
    p50s, p99s = ([percentile(side.took_us[what], percent) for side in (few, many)] for percent in (50, 99))
    ratio = p50s[1] / p50s[0]
    bench.at_most(f"claim {limit} at once, {what}: ratio of medians", ratio, LIMIT, "x")
    return (f"{limit} at once, {what}", *(f"{each:,.0f}" for each in (*p50s, *p99s)), f"{ratio:.2f}")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--few", type=int, default=100 if QUICK else 1_000)
    parser.add_argument("--many", type=int, default=2_000 if QUICK else 1_000_000)
    parser.add_argument("--rounds", type=int, default=20 if QUICK else 2_000)
    parser.add_argument("--scattered", action="store_true")
    parser.add_argument("--dir", type=Path, help="where the stores are made; default: a temporary folder")
    args = parser.parse_args()
    bench = Bench("claim_scale", f"a claim with {args.few:,} and with {args.many:,} tasks waiting")
    with tempfile.TemporaryDirectory(dir=args.dir) as folder:
        few = Side(Path(folder) / "few", args.few, scattered=args.scattered)
        many = Side(Path(folder) / "many", args.many, scattered=args.scattered)
        rows = [line for limit in BATCHES for line in compare(bench, few, many, limit, args.rounds)]
        few.store.close()
        many.store.close()
    counts = (f"{args.few:,}", f"{args.many:,}")
    bench.table(("us", *(f"p50, {each}" for each in counts), *(f"p99, {each}" for each in counts), "ratio"), rows)
    bench.close()
    return 0


if __name__ == "__main__":
    sys.exit(main())
