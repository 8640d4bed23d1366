"""What a task is given on its standard input.

`run` passes on what was piped or redirected to it. A file is read as it is. A pipe is the hard case: programs and CI
often leave us one that nobody will ever write to, and waiting for its end would be waiting for ever; yet running a
command without the input that is on its way could do harm. So:

- something, or the end, comes within IDLE_S: it is read to its end;
- nothing comes, and only our own ancestors could write it (or it is a socket): an idle pipe we inherited. The task gets
  none, and we say so;
- nothing comes, but another process holds the writing end (`slow | tsched run ...`): it is waited for, at most SLOW_S,
  then the run is refused. It does not run without its input.

`--stdin -` waits as long as it takes, `< /dev/null` gives none, `--stdin FILE` gives a file.
"""

from __future__ import annotations

import os
import select
import stat
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from ..proto import checks
from ..proto.errors import Refusal, RefusalReason
from . import console

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    Check = Callable[[Any], object]

IDLE_S = 0.3
SLOW_S = 10.0
STDIN = 0
PIECE_BYTES = 1 << 16
LIST_LIMIT = 256 * 1024 * 1024


def inherited() -> bytes | None:
    """What was piped or redirected to us; None for a terminal, a device, and an idle pipe."""
    mode = os.fstat(STDIN).st_mode
    if stat.S_ISREG(mode):
        return read_all(STDIN)
    if stat.S_ISFIFO(mode) or stat.S_ISSOCK(mode):
        return read_all(STDIN) if _will_be_written(is_pipe=stat.S_ISFIFO(mode)) else None
    return None


def named(path: str) -> bytes | None:
    """What a file holds, `-` for our standard input to its end. Raises Refusal BAD_VALUE or TOO_LARGE."""
    return read_all(STDIN) if path == "-" else file(path)


def typed(what: str, check: Check = checks.check_stdin) -> bytes | None:
    """Our standard input to its end; who sits at a terminal is told how to end it."""
    if os.isatty(STDIN):
        console.say(f"reading {what}; end with Ctrl-D")
    return read_all(STDIN, check)


def listed(path: str) -> bytes:
    """A list in a file, `-` for one on our standard input. Raises Refusal BAD_VALUE or TOO_LARGE."""
    return (typed("the list", _check_list) if path == "-" else file(path, _check_list)) or b""


def file(path: str, check: Check = checks.check_stdin) -> bytes | None:
    """What a file holds. Raises Refusal BAD_VALUE, or what `check` raises."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except (OSError, ValueError) as error:
        why = getattr(error, "strerror", None) or str(error)
        message = f"cannot read {checks.quoted(path, 200)}: {why}"
        raise Refusal(RefusalReason.BAD_VALUE, message, "name a file that can be read") from None
    try:
        return read_all(descriptor, check, name=checks.quoted(path, 200))
    finally:
        os.close(descriptor)


def read_all(descriptor: int, check: Check = checks.check_stdin, *, name: str = "stdin") -> bytes | None:
    """Everything up to the end; None when that is nothing. `check` refuses as soon as it is too much."""
    data = bytearray()
    try:
        while piece := os.read(descriptor, PIECE_BYTES):
            data += piece
            check(data)
    except OSError as error:
        raise Refusal(RefusalReason.BAD_VALUE, f"cannot read {name}: {error.strerror}", "name a file") from None
    return bytes(data) or None


def _check_list(data: bytearray) -> None:
    if len(data) > LIST_LIMIT:
        raise Refusal(RefusalReason.TOO_LARGE, f"the list is longer than {LIST_LIMIT} bytes", "split it")


def _will_be_written(*, is_pipe: bool) -> bool:
    if _ready(IDLE_S):
        return True
    others = is_pipe and _others_hold_it()
    if _ready(0):  # its writer wrote and left while we were looking for it
        return True
    if not others:
        console.say("nobody writes to stdin; the task gets none (--stdin - waits for it)")
        return False
    console.say("waiting for stdin (< /dev/null gives none)")
    if not _ready(SLOW_S):
        hint = "--stdin - waits longer, < /dev/null gives none"
        raise Refusal(RefusalReason.BAD_USAGE, f"nothing came on stdin within {SLOW_S:.0f} s", hint)
    return True


def _ready(timeout_s: float) -> bool:
    """Whether data or the end comes within that time."""
    poll = select.poll()
    poll.register(STDIN, select.POLLIN)
    return bool(poll.poll(timeout_s * 1000))


def _others_hold_it() -> bool:
    """Whether a process that is neither we nor an ancestor can write to our standard input."""
    with suppress(OSError):
        pipe = os.readlink(f"/proc/self/fd/{STDIN}")
        kin = set(_ancestry())
        return any(_writes(pid, pipe) for pid in os.listdir("/proc") if pid.isdigit() and pid not in kin)
    return False


def _ancestry() -> Iterator[str]:
    pid = str(os.getpid())
    while pid != "0":
        yield pid
        with open(f"/proc/{pid}/stat", "rb") as file:
            pid = file.read().rpartition(b")")[2].split()[1].decode()


def _writes(pid: str, pipe: str) -> bool:
    """Whether a process holds a writable descriptor of the pipe; not those of other users, which cannot be seen."""
    with suppress(OSError):
        for descriptor in os.scandir(f"/proc/{pid}/fd"):
            with suppress(OSError):
                if os.readlink(descriptor.path) == pipe and os.lstat(descriptor.path).st_mode & stat.S_IWUSR:
                    return True
    return False
