"""Beginning anew in the same process: looked at first, then done by exec, with what must not be let go handed over.

The locks go across the exec as descriptors, so nobody can take the state folder or a socket meanwhile; executors stay
children of the same process. What the new program would choke on is found before: a child runs it as far as it can
without touching anything.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from collections.abc import Mapping, MutableMapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from typing import Any, NoReturn

from ..proto import managed
from ..proto.errors import Refusal, RefusalReason

VARIABLE = "TSCHED_HANDOVER"
CHECK_S = 60.0
ORDERS = frozenset({signal.SIGTERM, signal.SIGINT, signal.SIGHUP})
"""Signals that wait while one program goes and the next one comes."""
FIRST_OF_OURS = 3
READY_FLAG = "--ready-fd"


@dataclass(frozen=True, slots=True, kw_only=True)
class Handover:
    """What one program leaves to the next in the same process."""

    pid: int = 0
    locks: Mapping[str, int] = field(default_factory=dict)
    executor_logs: Mapping[str, int] = field(default_factory=dict)
    stop: tuple[float, bool] | None = None
    """A stop that was asked for too late: how long to drain, and whether to end tasks then."""
    version: str = ""
    open_files: int = 0
    """How many descriptors executors may have to begin with; 0: that was not changed."""

    @property
    def descriptors(self) -> list[int]:
        """All that go with it."""
        return [*self.locks.values(), *self.executor_logs.values()]


def received(environment: MutableMapping[str, str]) -> Handover | None:
    """What the program before us in this process left, taken out of the environment; None when there was none."""
    try:
        told = json.loads(environment.pop(VARIABLE, "null"))
        handover = Handover(**told) if isinstance(told, dict) else None
    except (ValueError, TypeError):
        return None
    if handover is None or handover.pid != os.getpid() or not all(map(_is_open, handover.descriptors)):
        return None
    for descriptor in handover.descriptors:
        os.set_inheritable(descriptor, False)
    return handover


def _is_open(descriptor: object) -> bool:
    with suppress(OSError):
        return isinstance(descriptor, int) and bool(os.fstat(descriptor))
    return False


def become(handover: Handover) -> NoReturn:
    """Run the program anew in this process. Raises OSError when it cannot be started."""
    # What of gRPC's is not marked to be closed would stay open for ever.
    for descriptor in map(int, os.listdir("/proc/self/fd")):
        if descriptor >= FIRST_OF_OURS:
            with suppress(OSError):
                os.set_inheritable(descriptor, False)
    for descriptor in handover.descriptors:
        os.set_inheritable(descriptor, True)
    environment = {**os.environ, VARIABLE: json.dumps(asdict(handover))}
    signal.pthread_sigmask(signal.SIG_BLOCK, ORDERS)
    os.execve(sys.executable, [sys.executable, *words()], environment)  # noqa: S606 - our own program


def heed_orders() -> None:
    """Take what was signalled since the program before us left."""
    signal.pthread_sigmask(signal.SIG_UNBLOCK, ORDERS)


def words() -> list[str]:
    """What this process was started with, less what was meant for its first start only."""
    kept: list[str] = []
    given = iter(sys.orig_argv[1:])
    for word in given:
        if word == READY_FLAG:
            next(given, None)
        elif not word.startswith(f"{READY_FLAG}="):
            kept.append(word)
    return kept


async def preflight() -> None:
    """See whether the program and the configuration on disk would start. Raises Refusal with all that is wrong."""
    environment = {name: value for name, value in os.environ.items() if name not in managed.VARIABLES}
    try:
        child = await asyncio.create_subprocess_exec(
            sys.executable,
            *words(),
            "--check",
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            env=environment,
        )
    except OSError as error:
        raise _unfit(f"{sys.executable}: {error.strerror}") from None
    try:
        out, err = await asyncio.wait_for(child.communicate(), CHECK_S)
    except TimeoutError:
        child.kill()
        await child.wait()
        raise _unfit(f"its check did not end within {CHECK_S:g} s") from None
    judge(child.returncode or 0, out, err)


def judge(code: int, out: bytes, err: bytes) -> None:
    """What a check's answer means. Raises Refusal when it is no yes."""
    answer: Any = None
    with suppress(ValueError):
        answer = json.loads(out)
    problems: Sequence[Any] = answer.get("problems", ()) if isinstance(answer, dict) else ()
    if problems:
        told = "; ".join(each["message"] for each in problems)
        raise Refusal(RefusalReason(problems[0]["reason"]), told, "the service goes on as it was")
    if code != 0 or answer is None:
        raise _unfit(_why(err.decode(errors="replace")) or f"it ended with {code}")


def _why(said: str) -> str:
    """The last line of what a program said that died, and where it was then; empty when it said nothing."""
    lines = [line.strip() for line in said.splitlines() if line.strip()]
    where = next((line for line in reversed(lines) if line.startswith('File "')), "")
    return f"{lines[-1]} ({where})" if where else "".join(lines[-1:])


def _unfit(why: str) -> Refusal:
    message = f"the program on disk would not start: {why}"
    return Refusal(RefusalReason.INTERNAL, message, "the service goes on as it was")
