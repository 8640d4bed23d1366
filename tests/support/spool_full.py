"""An executor on a file system that is nearly full, then full; run in a mount namespace."""

from __future__ import annotations

import sys
from pathlib import Path

from support import procs
from support.fake_link import room
from support.mounts import remount
from support.spooled import Standing, taken_bytes
from support.wait import until
from tsched.executor import spool
from tsched.proto.link_pb2 import Chunk

MIB = 1024 * 1024


def waits_and_goes_on(folder: Path) -> None:
    """A task fills what may be filled, waits, goes on by itself when there is room, and nothing is lost."""
    with room(home=str(folder)) as setup:
        link = setup.link
        script = f"echo; until [ -e {setup.folder}/go ]; do sleep 0.01; done; head -c {16 * MIB} /dev/zero; touch {setup.folder}/done"
        [attempt_id] = link.give(script)
        link.output_has(attempt_id, b"\n")
        link.stop()
        (setup.folder / "go").touch()
        until(lambda: taken_bytes(setup.pid, folder) >= 2 * MIB)
        until(Standing(setup.pid), timeout_s=30)
        assert taken_bytes(setup.pid, folder) <= 5 * MIB
        assert not (setup.folder / "done").exists()
        remount(folder, "size=128m")
        until((setup.folder / "done").exists, timeout_s=20, what="it is tried again")
        link.start()
        assert link.finish_of(attempt_id, timeout_s=30).stdout_bytes == 16 * MIB + 1
        assert link.of(attempt_id).output() == b"\n" + bytes(16 * MIB)
        assert [line.event for line in link.logs] == ["spool_full"], link.logs
        assert "nearly full" in link.logs[0].fields["reason"]


def fills(folder: Path) -> None:
    """A disk that is full to the last byte refuses a chunk and spoils none."""
    told: list[str] = []
    whole = spool.Spool(str(folder), 1 << 30, reserve_bytes=-(1 << 30), refuse=told.append)
    whole.open = True
    tail = spool.Tail(whole)
    chunks = [Chunk(attempt_id=1, number=n, length=200_000, data=bytes([n % 256]) * 200_000) for n in range(1, 400)]
    taken = 0
    while tail.append(chunks[taken]):
        taken += 1
    assert told == ["No space left on device"]
    assert 0 < taken < len(chunks) - 1
    remount(folder, "size=256m")
    whole.try_again()
    assert tail.append(chunks[taken])
    assert [tail.pop() for _ in range(taken + 1)] == chunks[: taken + 1]
    assert not tail


if __name__ == "__main__":
    procs.become_subreaper()
    waits_and_goes_on(Path(sys.argv[1]))
    remount(Path(sys.argv[1]), "size=4m")
    fills(Path(sys.argv[1]))
