"""What runs below the tests. A test that ends while something it started still lives has failed.

The process of the tests is made a subreaper: whatever loses its parent falls to it and to nobody else, so that its
descendants are all there is, `setsid` and double forks included. It stands in for an init that does not reap: orphans
that have ended stay zombies until the test is over.
"""

from __future__ import annotations

import ctypes
import os
import signal
from dataclasses import dataclass
from pathlib import Path

from support.wait import until

PR_SET_CHILD_SUBREAPER = 36

# Roots whose descendants may outlive a single test: what a wider fixture shares. The session ends them.
shared: set[int] = set()


@dataclass(frozen=True, slots=True)
class Proc:
    """One process as /proc showed it; pid and start together are never reused."""

    pid: int
    start_ticks: int
    ppid: int
    state: str
    command: str

    @property
    def zombie(self) -> bool:
        return self.state in "ZX"

    def __str__(self) -> str:
        return f"{self.pid} ({self.state}, child of {self.ppid}): {self.command}"


def become_subreaper() -> None:
    """Orphans below this process become its children from now on."""
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0):
        raise OSError(ctypes.get_errno(), "prctl(PR_SET_CHILD_SUBREAPER)")


def look(pid: int) -> Proc | None:
    """The process, or nothing when there is none."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_bytes().decode(errors="replace")
        words = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
    except (FileNotFoundError, ProcessLookupError):
        return None
    name, _, rest = stat.partition("(")[2].rpartition(")")
    fields = rest.split()
    command = b" ".join(words).decode(errors="replace").strip() or f"[{name}]"
    return Proc(pid=pid, start_ticks=int(fields[19]), ppid=int(fields[1]), state=fields[0], command=command[:200])


def alive(pid: int) -> bool:
    """Whether the process is there and no zombie."""
    found = look(pid)
    return found is not None and not found.zombie


def children(pid: int) -> list[Proc]:
    """The children of all its threads, zombies included."""
    try:
        tasks = os.listdir(f"/proc/{pid}/task")
        pids = [int(word) for tid in tasks for word in Path(f"/proc/{pid}/task/{tid}/children").read_text().split()]
    except (FileNotFoundError, ProcessLookupError):
        return []
    return [found for child in pids if (found := look(child))]


def tree(pid: int, *, without: frozenset[int] = frozenset()) -> list[Proc]:
    """All descendants, parents first; branches whose root is in `without` are left out."""
    found: list[Proc] = []
    for child in children(pid):
        if child.pid not in without:
            found += [child, *tree(child.pid, without=without)]
    return found


def zombies(pid: int) -> list[Proc]:
    """Ended processes below this one that their parent has not waited for."""
    return [found for found in tree(pid) if found.zombie]


def ours() -> list[Proc]:
    """Everything that lives below the tests and is not shared on purpose."""
    return [found for found in tree(os.getpid(), without=frozenset(shared)) if not found.zombie]


def end(found: list[Proc]) -> None:
    """Kills these processes, and whatever they start meanwhile, and waits until they are gone."""
    for proc in found:
        kill(proc)
    pids = {proc.pid for proc in found}
    until(lambda: not [pid for pid in pids if alive(pid)], what=f"processes {sorted(pids)} gone after SIGKILL")


def kill(proc: Proc, number: signal.Signals = signal.SIGKILL) -> None:
    """Sends the signal to that process, never to a later one with its pid."""
    now = look(proc.pid)
    if now and now.start_ticks == proc.start_ticks and not now.zombie:
        os.kill(proc.pid, number)


def reap() -> None:
    """Waits for orphans that fell to the tests and have ended."""
    for child in children(os.getpid()):
        if child.zombie:
            try:
                os.waitpid(child.pid, os.WNOHANG)
            except ChildProcessError:
                continue


def sweep() -> list[str]:
    """Ends all that is left below the tests and tells what it was."""
    left: dict[tuple[int, int], Proc] = {}
    while found := ours():
        left |= {(proc.pid, proc.start_ticks): proc for proc in found}
        end(found)
    reap()
    return [str(proc) for proc in left.values()]
