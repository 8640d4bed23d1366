"""Scenes on a file system that is full or read-only; run by tests/crash in a mount namespace."""

from __future__ import annotations

import os
import sys
import threading
from functools import partial
from pathlib import Path
from typing import Any

from support.keep import ANSWER_S, FakeClock, Keep, chunk, finish_report, kept
from support.mounts import remount
from tsched.proto.errors import Refusal, RefusalReason
from tsched.store import Store, claims, output, tasks
from tsched.store.cipher import PlainCipher

PAYLOAD = b"p" * 20_000


def refused(reason: RefusalReason, call: Any, *args: Any, **values: Any) -> Refusal:
    """What a call is refused with; it must be for the reason."""
    try:
        call(*args, **values)
    except Refusal as refusal:
        return clear(refusal, reason)
    raise AssertionError(f"not refused: {call}")


def clear(refusal: Refusal, reason: RefusalReason) -> Refusal:
    """A refusal that tells its user, in one line, what and why and how to go on."""
    assert refusal.reason is reason, refusal
    assert "\n" not in refusal.message
    assert refusal.hint
    return refusal


def fill(keep: Keep) -> list[str]:
    """Submit until it is refused; the ids that were answered."""
    ids: list[str] = []
    while True:
        try:
            ids.append(keep.task(payload=PAYLOAD))
        except Refusal as refusal:
            clear(refusal, RefusalReason.STORE_FULL)
            return ids


def stuff(folder: Path) -> None:
    """Take what space is left."""
    with (folder / "stuffing").open("wb", buffering=0) as file:
        try:
            while True:
                file.write(bytes(4096))
        except OSError:
            pass


def submissions(folder: Path) -> None:
    """New work is refused, nothing answered is lost, and it heals by itself when there is space."""
    with kept(folder) as keep:
        executor = keep.executor()
        claimed = keep.running(executor)
        ids = fill(keep)
        assert ids
        stuff(folder)
        for _ in range(3):
            refused(RefusalReason.STORE_FULL, keep.task, payload=PAYLOAD)
        assert keep.counts() == {"ready": len(ids), "running": 1}
        assert keep.get(ids[-1]).payload == PAYLOAD
        (folder / "stuffing").unlink()
        remount(folder, "size=64m")
        keep.finish(executor, claimed)
        assert keep.get(claimed.task_id).state == "succeeded"
        more = keep.task(payload=PAYLOAD)
        keep.reopen()
        assert keep.get(more).payload == PAYLOAD
        assert keep.counts() == {"ready": len(ids) + 1, "succeeded": 1}


def restart(folder: Path) -> None:
    """A store that was full when its service died opens again, or says why not, and has everything."""
    keep = Keep(folder)
    ids = fill(keep)
    stuff(folder)
    keep.store.close()
    try:
        Store.open(folder, PlainCipher(), FakeClock()).close()
    except Refusal as refusal:
        clear(refusal, RefusalReason.STORE_FULL)
    (folder / "stuffing").unlink()
    remount(folder, "size=64m")
    with kept(folder) as again:
        assert again.counts() == {"ready": len(ids)}
        again.task()


def small_beside_large(folder: Path) -> None:
    """In one group, what is too large fails and what fits is kept."""
    with kept(folder) as keep:
        executor = keep.executor()
        claimed = keep.running(executor)
        gate, held = threading.Event(), threading.Event()

        def hold(_: object) -> None:
            held.set()
            gate.wait(ANSWER_S)

        holding = keep.store.write(hold)
        held.wait(ANSWER_S)
        large = [keep.store.write(submission(keep, bytes(9_000_000))) for _ in range(2)]
        report = finish_report(executor, claimed, keep.clock.us)
        small = keep.store.write(partial(claims.finished, reports=[report]))
        gate.set()
        holding.result(ANSWER_S)
        assert [ended.state for ended in small.result(ANSWER_S)] == ["succeeded"]
        for future in large:
            refused(RefusalReason.STORE_FULL, future.result, ANSWER_S)
        assert keep.counts() == {"succeeded": 1}


def submission(keep: Keep, payload: bytes) -> Any:
    return partial(tasks.submit, drafts=[keep.draft(payload=payload)], now_us=keep.clock.us)


def outputs(folder: Path) -> None:
    """Output that does not fit is refused; what was kept stays, and the rest follows when there is space."""
    with kept(folder) as keep:
        executor = keep.executor()
        claimed = keep.running(executor)
        chunks = [chunk(claimed.attempt_id, n, b"o" * 100_000, offset=(n - 1) * 100_000) for n in range(1, 81)]
        kept_until = 0
        while kept_until < len(chunks):
            try:
                keep.do_output(output.append, chunks=chunks[kept_until : kept_until + 1])
                kept_until += 1
            except Refusal as refusal:
                clear(refusal, RefusalReason.STORE_FULL)
                break
        assert 0 < kept_until < len(chunks)
        assert keep.ask_output(output.last_number, attempt_id=claimed.attempt_id) == kept_until
        remount(folder, "size=64m")
        keep.do_output(output.append, chunks=chunks)
        assert keep.ask_output(output.stored_bytes, attempt_id=claimed.attempt_id) == {1: 8_000_000}
        keep.finish(executor, claimed, stdout_bytes=8_000_000)


def nothing_at_all(folder: Path) -> None:
    """A new store on a full disk is refused by name, and opens when there is space."""
    stuff(folder)
    refused(RefusalReason.STORE_FULL, Store.open, folder, PlainCipher(), FakeClock())
    (folder / "stuffing").unlink()
    remount(folder, "size=64m")
    with kept(folder) as keep:
        keep.task()


def read_only(folder: Path) -> None:
    """A folder that cannot be written to is refused by name, with a store in it or without."""
    remount(folder, "ro")
    refused(RefusalReason.STORE_READ_ONLY, Store.open, folder, PlainCipher(), FakeClock())
    remount(folder, "rw")
    with kept(folder) as keep:
        task_id = keep.task()
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    remount(folder, "ro")
    told = refused(RefusalReason.STORE_READ_ONLY, Store.open, folder, PlainCipher(), FakeClock())
    assert str(folder) in told.message
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before
    remount(folder, "rw")
    with kept(folder) as keep:
        assert keep.get(task_id)


SCENES = {
    scene.__name__: scene for scene in (submissions, restart, small_beside_large, outputs, nothing_at_all, read_only)
}

if __name__ == "__main__":
    os.umask(0o077)
    SCENES[sys.argv[2]](Path(sys.argv[1]))
