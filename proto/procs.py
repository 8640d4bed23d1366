"""Finding and ending processes by what cannot be shaken off: ancestry and marks. Standard library only.

What a task starts may double-fork, call setsid, clear its environment, ignore SIGTERM, fork faster than it is killed,
and kill its own parents. Nothing short of "look again until nobody is left" ends it for certain:

- below a live subreaper everything stays a descendant, so `children_of`, level by level, finds it (`freeze`);
- when the subreaper itself was killed, its orphans fall to the next one as direct children (`strays`), and
- whatever fell elsewhere still carries a mark: the mount namespace of its runner, where that had one of its own, or
  the nonce of its executor in the environment (`find_marked`). Only the namespace survives `env -i`; both together
  are needed.

A process id is only ever signalled right after it was read: Linux hands ids out in a circle, so one that was just read
is not somebody else's yet. Everything here reads /proc; a process that vanishes meanwhile, or belongs to somebody
else and may not be looked into, is simply not listed.
"""

from __future__ import annotations

import fcntl
import os
import select
import signal
import sys
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Sequence

NONCE_VARIABLE = "TSCHED_EXECUTOR"
"""The environment variable that carries the id of the executor a process belongs to."""
NS_GET_MNTNS_ID = 0x8008B705

FREEZE_ROUNDS = 4
WATCHED_AT_ONCE = 64
"""So many exits are waited for before looking again; bounds the file descriptors a fork bomb can cost."""


def start_ticks(pid: int) -> int | None:
    """When the process started, in clock ticks since boot; with the pid and the boot id its identity."""
    fields = _stat(pid)
    return int(fields[19]) if fields else None


def alive(pid: int) -> bool:
    """Whether the process is there and no zombie (one whose first thread has ended while others run is none)."""
    fields = _stat(pid)
    return bool(fields) and (fields[0] not in {b"Z", b"X"} or int(fields[17]) > 1)


def boot_id() -> str:
    """Changes with every boot of the machine."""
    return _read("/proc/sys/kernel/random/boot_id").decode().strip()


def mount_namespace(pid: int) -> int | None:
    """Id of the process's mount namespace; None when it is gone, may not be looked into, or the kernel has no such ids.

    Linux 6.11 and later never give such an id again (NS_GET_MNTNS_ID of ioctl_nsfs(2)). The inode number of a namespace
    is no mark: the next namespace of anybody gets it.
    """
    try:
        namespace = os.open(f"/proc/{pid}/ns/mnt", os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return None
    try:
        answer = bytearray(8)
        fcntl.ioctl(namespace, NS_GET_MNTNS_ID, answer)
        return int.from_bytes(answer, sys.byteorder)
    except OSError:
        return None
    finally:
        os.close(namespace)


def states_of(pid: int) -> set[bytes]:
    """The states of all threads of a process, as the letters of /proc/PID/stat; none when it is gone."""
    try:
        threads = os.listdir(f"/proc/{pid}/task")
    except OSError:
        return set()
    return {fields[0] for tid in threads if (fields := _stat(f"{pid}/task/{tid}"))}


def children_of(pid: int) -> list[int]:
    """The direct children of all threads of a process, zombies included."""
    try:
        threads = os.listdir(f"/proc/{pid}/task")
    except OSError:
        return []
    return [int(child) for tid in threads for child in _read(f"/proc/{pid}/task/{tid}/children").split()]


def environment_of(pid: int) -> frozenset[bytes]:
    """The entries `NAME=value` of the environment the process was started with."""
    return frozenset(_read(f"/proc/{pid}/environ").split(b"\0"))


def find_where(namespaces: Collection[int], entries: Collection[bytes]) -> list[int]:
    """All live processes, except this one, in one of the mount namespaces or with all these environment entries.

    The namespaces of this process and of init are never searched for: too many innocents live there.
    """
    sought = set(namespaces) - {0, mount_namespace(os.getpid()), mount_namespace(1)}
    return [pid for pid in _everyone() if (sought and mount_namespace(pid) in sought) or _has(pid, entries)]


def find_marked(nonce: str, namespaces: Collection[int]) -> list[int]:
    """All live processes, except this one, that belong to an executor: its nonce, or a runner's mount namespace."""
    return find_where(namespaces, [f"{NONCE_VARIABLE}={nonce}".encode()] if nonce else [])


def strays(known: Collection[int]) -> list[int]:
    """The live direct children of this process that are not known to it: orphans that fell to it as a subreaper.

    Dead ones are reaped on the way. Nothing else may start children between its fork and their entry into `known`.
    """
    return [pid for pid in children_of(os.getpid()) if pid not in known and not _reap(pid)]


def freeze(roots: Iterable[int]) -> set[int]:
    """Stop these processes and their descendants, and return them all.

    Stopped first, killed later: a stopped process cannot fork again and keeps its place under the process limits, so
    that a fork bomb cannot refill. Each is stopped before its children are read, so that one pass finds nearly all; the
    passes are bounded, because a process that hops from pid to pid cannot be caught like this.
    """
    frozen: set[int] = set()
    starts = set(roots)
    for _ in range(FREEZE_ROUNDS):
        before = len(frozen)
        frozen |= _stop_below(starts, frozen)
        if len(frozen) == before:
            break
    return frozen


def strike(roots: Iterable[int]) -> set[int]:
    """Freeze these processes and their descendants, then send SIGKILL to all; returns whom."""
    doomed = freeze(roots)
    _signal(doomed, signal.SIGKILL)
    return doomed


def await_exits(pids: Iterable[int], timeout_s: float) -> None:
    """Wait until the first few of these processes have exited, or the time is over."""
    pidfds = open_pidfds(pids)
    deadline = time.monotonic() + timeout_s
    try:
        for pidfd in pidfds:
            select.select([pidfd], [], [], max(0.0, deadline - time.monotonic()))
    finally:
        for pidfd in pidfds:
            os.close(pidfd)


def open_pidfds(pids: Iterable[int]) -> list[int]:
    """File descriptors that become readable when their process exits; of at most `WATCHED_AT_ONCE` that still live."""
    pidfds: list[int] = []
    for pid in list(pids)[:WATCHED_AT_ONCE]:
        try:
            pidfds.append(os.pidfd_open(pid))
        except OSError:
            continue
    return pidfds


def kill_until_gone(find: Callable[[], Sequence[int]], deadline_mono_s: float) -> list[int]:
    """Kill what `find` finds, with all descendants, and look again until it finds nobody.

    Returns the survivors at the deadline (of time.monotonic): none, or processes that cannot be killed now.
    """
    while found := list(find()):
        remaining_s = deadline_mono_s - time.monotonic()
        if remaining_s <= 0:
            return found
        await_exits(strike(found), remaining_s)
    return []


def end_marked(
    nonce: str, namespaces: Collection[int], *, own_children: bool, timeout_s: float, known: Collection[int] = ()
) -> list[int]:
    """End everything that belongs to a dead executor and look again until nobody is left; returns the survivors.

    With `own_children` the direct children of this process that are not in `known` are ended and reaped too: orphans
    that fell to it as a subreaper. `known` is looked at anew in each round, so it may be a live set; whoever starts
    children meanwhile must not be interrupted between starting one and adding it. Blocks; safe in a thread.
    """

    def find() -> list[int]:
        orphans = strays(known) if own_children else []
        return [*orphans, *find_marked(nonce, namespaces)]

    return kill_until_gone(find, time.monotonic() + timeout_s)


def _has(pid: int, entries: Collection[bytes]) -> bool:
    return bool(entries) and environment_of(pid).issuperset(entries)


def _everyone() -> list[int]:
    me = os.getpid()
    return [pid for name in os.listdir("/proc") if name.isdecimal() and (pid := int(name)) != me]


def _stop_below(roots: Iterable[int], stopped: Collection[int]) -> set[int]:
    """Stop the processes of these trees that are not stopped yet, parents first; returns all."""
    found: set[int] = set()
    level = set(roots)
    while level:
        _signal(level - set(stopped), signal.SIGSTOP)
        found |= level
        level = {child for pid in level for child in children_of(pid)} - found
    return found


def _reap(pid: int) -> bool:
    try:
        return os.waitpid(pid, os.WNOHANG)[0] == pid
    except ChildProcessError:
        return True


def _signal(pids: Iterable[int], number: signal.Signals) -> None:
    for pid in pids:
        try:
            os.kill(pid, number)
        except (ProcessLookupError, PermissionError):
            continue


def _stat(pid: int | str) -> list[bytes]:
    """The fields of /proc/PID/stat from the third on; the second, the name, may itself hold spaces and brackets."""
    return _read(f"/proc/{pid}/stat").rpartition(b")")[2].split()


def _read(path: str) -> bytes:
    try:
        with open(path, "rb", buffering=0) as file:
            return file.read()
    except OSError:
        return b""
