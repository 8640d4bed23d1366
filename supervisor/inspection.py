"""Looking at a source: a child imports it and tells what functions it has. What it does besides ends with it.

The code is the user's: it may never end, print without end, fork, exit or crash. So the child has a session of its own,
a time limit, bounded output, none of our environment but what every program needs, and a mark by which everything it
started is found and ended. Where the service runs tasks as others, it looks as nobody: root imports nothing.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
import secrets
import signal
import subprocess
import time
from collections.abc import Collection, Iterator
from contextlib import AbstractAsyncContextManager, ExitStack, contextmanager, suppress
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any, Protocol

from ..proto import procs
from . import log
from .entries import MESSAGE_LIMIT, Origin, one_line

PROGRAM = Path(__file__).resolve().parent.parent / "executor" / "begin.py"
"""What runs a function's interpreter. Run by path: there tsched need not be installed."""
TIME_S = 30.0
AT_ONCE = 2
ANSWER_LIMIT = 4 << 20
ERRORS_KEPT = 64 << 10
READ_SIZE = 65_536
SWEEP_S = 10.0
HOME_VARIABLE = "TSCHED_INSPECTION"
"""Tells of which service an inspection is, so that the next one finds what a killed one left."""
KEPT_VARIABLES = ("PATH", "HOME", "USER", "LOGNAME", "LANG", "LC_ALL", "TZ", "TMPDIR")


class InspectionError(Exception):
    """Nothing could be learned of a source; says why in one line."""


class Keeper(Protocol):
    """Whoever looks after our children: the pool."""

    others: set[int]
    """Children that no sweep may take for leftovers."""

    def undisturbed(self) -> AbstractAsyncContextManager[None]:
        """Start a child in here."""

    async def strike(self, executor: str, namespaces: set[int]) -> Collection[int]:
        """End all with this mark, and what fell to us."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Description:
    """What a source tells of itself."""

    functions: list[Any]
    failed: list[str]
    """What of it could not be loaded, each in one line."""


class Inspector:
    """Looks at sources, a few at a time."""

    def __init__(
        self, keeper: Keeper, home: Path, *, program: Path = PROGRAM, time_s: float = TIME_S, uid: int | None = None
    ) -> None:
        self._keeper = keeper
        self._mark = f"{HOME_VARIABLE}={hashlib.sha256(os.fsencode(os.path.realpath(home))).hexdigest()}"
        self._program = program
        self._time_s = time_s
        self._as_whom = [] if uid is None else [str(uid)]
        self._room = asyncio.Semaphore(AT_ONCE)

    async def clear(self) -> None:
        """End what a supervisor that was killed left behind."""
        find = partial(procs.find_where, (), [self._mark.encode()])
        await asyncio.to_thread(procs.kill_until_gone, find, time.monotonic() + SWEEP_S)

    async def describe(self, origin: Origin, generation: int) -> Description:
        """What functions the source has. Raises InspectionError."""
        async with self._room:
            with ExitStack() as opened:
                child = await self._start(origin, generation, opened)
                try:
                    await child.ended(self._time_s)
                finally:
                    await self._end(child)
                child.drain()
                return _understood(child, origin.name)

    async def _start(self, origin: Origin, generation: int, opened: ExitStack) -> _Child:
        words = [origin.python, "-X", "utf8", str(self._program), "describe", *self._as_whom]
        told = json.dumps({**asdict(origin), "generation": generation}).encode()
        nonce = secrets.token_hex(16)
        async with self._keeper.undisturbed():
            try:
                child = _Child(words, told, _environment(self._mark, nonce), nonce, opened)
            except (OSError, ValueError) as error:
                why = getattr(error, "strerror", None) or error
                raise InspectionError(f"{origin.python} cannot be run: {why}") from None
            self._keeper.others.add(child.pid)
            child.yield_first()
        return child

    async def _end(self, child: _Child) -> None:
        """End the child and all it started, also when we are to end ourselves."""
        child.kill()
        try:
            await asyncio.shield(self._keeper.strike(child.nonce, set()))
        finally:
            child.reap()
            self._keeper.others.discard(child.pid)


def _environment(mark: str, nonce: str) -> dict[str, str]:
    """What an inspection needs of ours: no secrets, and nothing that could change how Python or the loader works."""
    home, _, digest = mark.partition("=")
    kept = {name: os.environ[name] for name in KEPT_VARIABLES if name in os.environ}
    return {**kept, home: digest, procs.NONCE_VARIABLE: nonce}


class _Child:
    """One process that looks at a source, with its pipes; they are closed with `opened`."""

    def __init__(
        self, words: list[str], told: bytes, environment: dict[str, str], nonce: str, opened: ExitStack
    ) -> None:
        self.nonce = nonce
        with _input(told) as stdin:
            self._process = subprocess.Popen(
                words,
                stdin=stdin,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                env=environment,
                cwd="/",
                start_new_session=True,
            )
        self.pid = self._process.pid
        assert self._process.stdout is not None  # noqa: S101 - asked for
        assert self._process.stderr is not None  # noqa: S101 - asked for
        self.too_much = False
        self._exited: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.out, self.err = bytearray(), bytearray()
        self._pipes = {self._process.stdout.fileno(): self.out, self._process.stderr.fileno(): self.err}
        opened.callback(self._process.stdout.close)
        opened.callback(self._process.stderr.close)
        self._watch(opened)

    def _watch(self, opened: ExitStack) -> None:
        loop = asyncio.get_running_loop()
        pidfd = os.pidfd_open(self.pid)
        opened.callback(os.close, pidfd)
        loop.add_reader(pidfd, self._finish)
        opened.callback(loop.remove_reader, pidfd)
        for pipe in self._pipes:
            os.set_blocking(pipe, False)
            loop.add_reader(pipe, self._read, pipe)
            opened.callback(loop.remove_reader, pipe)

    @property
    def code(self) -> int:
        """Its exit code, negative for a signal."""
        return self._process.returncode if self._process.returncode is not None else -signal.SIGKILL

    async def ended(self, time_s: float) -> None:
        """Wait until it has ended, or said too much. Raises InspectionError when it takes too long."""
        try:
            await asyncio.wait_for(self._exited, time_s)
        except TimeoutError:
            raise InspectionError(f"its import did not end within {time_s:g} s") from None

    def yield_first(self) -> None:
        """Have the kernel take it, and nobody else, when it eats all memory."""
        with suppress(OSError):
            Path(f"/proc/{self.pid}/oom_score_adj").write_text("1000")

    def kill(self) -> None:
        """End it now, if it is still there; not yet reaped, so that its pid is nobody else's."""
        if self._process.poll() is None:
            self._process.kill()

    def reap(self) -> None:
        """Take its exit code."""
        self._process.wait()

    def drain(self) -> None:
        """Read what is still in the pipes; nobody writes to them any more."""
        for pipe in self._pipes:
            while self._read(pipe):
                pass

    def _finish(self) -> None:
        if not self._exited.done():
            self._exited.set_result(None)

    def _read(self, pipe: int) -> bool:
        """Take a piece; False when there is none."""
        try:
            piece = os.read(pipe, READ_SIZE)
        except BlockingIOError:
            return False
        if not piece:
            asyncio.get_running_loop().remove_reader(pipe)
            return False
        self._keep(self._pipes[pipe], piece)
        return not self.too_much

    def _keep(self, kept: bytearray, piece: bytes) -> None:
        kept += piece
        if kept is self.err:
            del kept[:-ERRORS_KEPT]
        elif len(kept) > ANSWER_LIMIT:
            self.too_much = True
            self._finish()


@contextmanager
def _input(told: bytes) -> Iterator[int]:
    """What it is told, as a file that needs nobody to write it while it reads."""
    descriptor = os.memfd_create("tsched-source")
    try:
        os.write(descriptor, told)
        os.lseek(descriptor, 0, os.SEEK_SET)
        yield descriptor
    finally:
        os.close(descriptor)


def _understood(child: _Child, source: str) -> Description:
    """What it said of this source. Raises InspectionError when that is no description."""
    if child.too_much:
        raise InspectionError(f"what it tells of its functions is longer than {ANSWER_LIMIT} bytes")
    if child.code != 0:
        raise InspectionError(_why(child.code, child.err.decode(errors="replace")))
    told: Any = None
    with suppress(ValueError, RecursionError):
        told = json.loads(child.out)
    match told:
        case {"functions": list(functions), "failed": list(failed)}:
            return Description(
                functions=functions, failed=[line for each in failed if (line := _failure(each, source))]
            )
    log.get().debug("inspection_not_understood", said=bytes(child.out[:MESSAGE_LIMIT]).decode(errors="replace"))
    if not child.out:
        raise InspectionError("its process ended with exit code 0 and told nothing of its functions")
    raise InspectionError("what it told is no description of functions: is its python a Python?")


def _failure(told: Any, source: str) -> str:
    match told:
        case {"object": str(name), "message": str(message)}:
            return one_line(message if name in ("", source) else f"{name}: {message}")
    return ""


def _why(code: int, said: str) -> str:
    """Why it died: the last line of what it said, or how it ended."""
    last = next((line for line in reversed(said.splitlines()) if line.strip()), "")
    if code < 0:
        with suppress(ValueError):
            return f"it was killed by {signal.Signals(-code).name} while it was imported"
    return one_line(last) or f"it ended its process with exit code {code} while it was imported"
