"""A supervisor's end of the link, small and real: a gRPC server on a Unix socket, and an executor attached to it.

It gives tasks only as far as the executor asks for them, acknowledges what it has heard (unless told to wait), and keeps
everything it heard, so that tests can look at it.
"""

from __future__ import annotations

import json
import os
import queue
import secrets
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
from collections import deque
from concurrent import futures
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

os.environ["GRPC_ENABLE_FORK_SUPPORT"] = "0"

import grpc
import pytest
from google.protobuf.any_pb2 import Any as AnyMessage

from support import procs
from support.wait import until
from tsched.proto import call_pb2, link_pb2, link_pb2_grpc
from tsched.proto.anys import from_any, to_any
from tsched.proto.endpoint import SERVER_OPTIONS, target
from tsched.proto.plain import plain
from tsched.proto.profiles import Profile

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

PLAIN_UID = 65534
SECRET = "s" * 64
PATH = os.environ.get("PATH", "/usr/bin:/bin")
CAP_BYTES = 64 * 1024 * 1024
DEFAULT_PROFILE = Profile().as_dict()


class Session:
    """One attachment, from Hello to its end."""

    def __init__(self) -> None:
        self.out: queue.SimpleQueue[link_pb2.ToExecutor | None] = queue.SimpleQueue()

    def send(self, **fields: Any) -> None:
        self.out.put(link_pb2.ToExecutor(**fields))

    def end(self) -> None:
        self.out.put(None)


class Heard:
    """What the executor has said about one attempt."""

    def __init__(self) -> None:
        self.lenient = False
        """Whether some of its output may have been lost."""
        self.started: list[link_pb2.Started] = []
        self.chunks: dict[int, link_pb2.Chunk] = {}
        self.repeated_chunks = 0
        self.paused: list[link_pb2.Paused] = []
        self.progress: list[link_pb2.Progress] = []
        self.finished: list[link_pb2.Finished] = []
        self.returned = 0
        self.kept = 0

    def add(self, chunk: link_pb2.Chunk) -> None:
        if chunk.number in self.chunks:
            self.repeated_chunks += 1
            assert self.chunks[chunk.number] == chunk
        else:
            assert not self.finished, "a chunk after the finish"
            assert self.lenient or chunk.number == len(self.chunks) + 1, "chunk numbers leave no gap"
        self.chunks[chunk.number] = chunk

    def output(self, stream: int = 1) -> bytes:
        """The stored bytes; their places must follow each other."""
        data = b""
        for chunk in self.stored(stream):
            assert chunk.offset == len(data), (chunk.offset, len(data))
            data += chunk.data
        return data

    def stored(self, stream: int) -> list[link_pb2.Chunk]:
        return [chunk for chunk in self.chunks.values() if chunk.stream == stream and not chunk.passing]


class FakeLink(link_pb2_grpc.LinkServicer):
    """The service. `ack_chunks`, `ack_finishes`, `ack_runners`, and giving `again` what was returned may be off."""

    def __init__(self, folder: Path) -> None:
        self.socket = folder / "link.sock"
        self.lock = threading.RLock()
        self.sessions: list[Session] = []
        self.hellos: list[link_pb2.Hello] = []
        self.heard: dict[int, Heard] = {}
        self.runners: dict[int, link_pb2.RunnerUp] = {}
        self.logs: list[link_pb2.LogLine] = []
        self.credits = self.shared_credits = 0
        self.claims: list[int] = []
        self.sources: dict[str, link_pb2.Source] = {}
        self.messages = 0
        self.waiting: deque[link_pb2.Assignment] = deque()
        self.assigned: dict[int, link_pb2.Assignment] = {}
        self.ack_chunks = self.ack_finishes = self.ack_runners = self.again = True
        self.refuse: grpc.StatusCode | None = None
        self.on_message: Callable[[link_pb2.FromExecutor], None] = lambda _message: None
        self._server: grpc.Server | None = None
        self._next_id = 0

    def start(self) -> None:
        self._server = grpc.server(futures.ThreadPoolExecutor(4), options=SERVER_OPTIONS)
        link_pb2_grpc.add_LinkServicer_to_server(self, self._server)
        assert self._server.add_insecure_port(target(self.socket))
        self._server.start()
        self.socket.chmod(0o777)

    def stop(self) -> None:
        """Break the link; whoever listens next is another supervisor."""
        if self._server:
            for session in self.sessions:
                session.end()
            self._server.stop(grace=None).wait()
            self._server = None

    # -- the service

    def Attach(  # noqa: N802 - gRPC's name
        self, requests: Iterable[link_pb2.FromExecutor], context: grpc.ServicerContext
    ) -> Iterator[Any]:
        if self.refuse:
            context.abort(self.refuse, "refused")
        session = Session()
        requests = iter(requests)
        first = next(requests)
        with self.lock:
            self.sessions.append(session)
            self.hellos.append(first.hello)
            self.credits = self.shared_credits = 0
            for runner in first.hello.runners:
                self.runners[runner.pid] = runner
        threading.Thread(target=self._listen, args=(session, requests), daemon=True).start()
        session.send(welcome=link_pb2.Welcome(), sources=link_pb2.Sources(sources=self.sources.values()))
        while (message := session.out.get()) is not None:
            yield message

    def _listen(self, session: Session, requests: Iterator[link_pb2.FromExecutor]) -> None:
        try:
            for message in requests:
                with self.lock:
                    self._hear(session, message)
        except grpc.RpcError:
            pass
        finally:
            session.end()

    def _hear(self, session: Session, message: link_pb2.FromExecutor) -> None:
        self.messages += 1
        self.on_message(message)
        answer = link_pb2.ToExecutor()
        self.logs.extend(message.logs)
        self._hear_reports(message, answer)
        for attempt_id in message.returned:
            self.of(attempt_id).returned += 1
            if self.again:
                self.waiting.appendleft(self.assigned[attempt_id])
        for attempt_id in message.kept:
            self.of(attempt_id).kept += 1
        self.credits += message.claim
        self.shared_credits += message.claim_shared
        self.claims.append(message.claim)
        answer.assignments.extend(self._assignable())
        session.out.put(answer)

    def _hear_reports(self, message: link_pb2.FromExecutor, answer: link_pb2.ToExecutor) -> None:
        for runner in message.runners:
            self.runners[runner.pid] = runner
            if self.ack_runners:
                answer.runner_acks.append(runner.pid)
        for started in message.started:
            self.of(started.attempt_id).started.append(started)
        for chunk in message.chunks:
            self.of(chunk.attempt_id).add(chunk)
            if self.ack_chunks:
                answer.chunk_acks.add(attempt_id=chunk.attempt_id, number=chunk.number)
        for paused in message.paused:
            self.of(paused.attempt_id).paused.append(paused)
        for progress in message.progress:
            self.of(progress.attempt_id).progress.append(progress)
        for finished in message.finished:
            self.of(finished.attempt_id).finished.append(finished)
            if self.ack_finishes:
                answer.finish_acks.append(finished.attempt_id)

    def _assignable(self) -> list[link_pb2.Assignment]:
        given, kept = [], []
        for task in self.waiting:
            if task.shared and self.shared_credits:
                self.shared_credits -= 1
                given.append(task)
            elif not task.shared and self.credits:
                self.credits -= 1
                given.append(task)
            else:
                kept.append(task)
        self.waiting = deque(kept)
        self.assigned |= {task.attempt_id: task for task in given}
        return given

    # -- what tests say and ask

    def send(self, **fields: Any) -> None:
        self.sessions[-1].send(**fields)

    def of(self, attempt_id: int) -> Heard:
        return self.heard.setdefault(attempt_id, Heard())

    def give(self, *commands: str | list[str], **fields: Any) -> list[int]:
        """Queue tasks; fields of Payload (cwd, env, stdin, umask) and of Assignment may be given by name."""
        payload_fields = {name: fields.pop(name) for name in ("cwd", "env", "stdin", "umask") if name in fields}
        given = []
        with self.lock:
            for command in commands:
                self._next_id += 1
                program: dict[str, Any] = {"shell": command} if isinstance(command, str) else {"args": command}
                surroundings: dict[str, Any] = {"cwd": "/", "env": {"PATH": PATH}}
                payload = link_pb2.Payload(**(surroundings | program | payload_fields))
                values: dict[str, Any] = {
                    "queue": "default",
                    "profile": "default",
                    "output_cap_bytes": CAP_BYTES,
                    "number": 1,
                }
                task = link_pb2.Assignment(
                    attempt_id=self._next_id, task_id=f"t{self._next_id}", payload=payload, **(values | fields)
                )
                self.waiting.append(task)
                given.append(self._next_id)
            if self.sessions:
                self.send(assignments=self._assignable())
        return given

    def know(self, *sources: link_pb2.Source) -> None:
        """These are the sources from now on."""
        self.sources = {source.name: source for source in sources}
        if self.sessions:
            self.send(sources=link_pb2.Sources(sources=sources))

    def call(self, function: str, *args: Any, source: str = "mine", **fields: Any) -> int:
        """Queue a call; `kwargs` and fields of Assignment may be given by name."""
        return self.calls((function, *args), source=source, **fields)[0]

    def calls(self, *calls: tuple[Any, ...], source: str = "mine", **fields: Any) -> list[int]:
        """Queue calls, each a name and arguments."""
        kwargs = fields.pop("kwargs", {})
        values: dict[str, Any] = {"queue": "default", "profile": "default", "output_cap_bytes": CAP_BYTES}
        values |= {"number": 1, "max_attempts": 1, "source": source, **fields}
        generation = self.sources[source].generation if source in self.sources else 1
        given = []
        with self.lock:
            for name, *args in calls:
                self._next_id += 1
                call = call_pb2.Call(
                    function=name,
                    args=[call_pb2.Argument(value=to_any(plain(value))) for value in args],
                    kwargs={key: call_pb2.Argument(value=to_any(plain(value))) for key, value in kwargs.items()},
                )
                task = link_pb2.Assignment(
                    attempt_id=self._next_id,
                    task_id=f"t{self._next_id}",
                    payload=link_pb2.Payload(call=call),
                    generation=generation,
                    **values,
                )
                self.waiting.append(task)
                given.append(self._next_id)
            if self.sessions:
                self.send(assignments=self._assignable())
        return given

    def run_call(self, function: str, *args: Any, timeout_s: float = 10, **fields: Any) -> link_pb2.Finished:
        """Queue one call and wait for its end."""
        return self.finish_of(self.call(function, *args, **fields), timeout_s=timeout_s)

    def result_of(self, attempt_id: int, *, timeout_s: float = 10) -> Any:
        """What a call that succeeds returned."""
        finished = self.finish_of(attempt_id, timeout_s=timeout_s)
        assert finished.state == "succeeded", (finished, self.of(attempt_id).output(2))
        assert finished.HasField("result")
        return from_any(AnyMessage.FromString(finished.result))

    def run(self, command: str | list[str], *, timeout_s: float = 10, **fields: Any) -> link_pb2.Finished:
        """Give one task and wait for its end."""
        (attempt_id,) = self.give(command, **fields)
        return self.finish_of(attempt_id, timeout_s=timeout_s)

    def acknowledge(self, attempt_id: int, number: int) -> None:
        self.send(chunk_acks=[link_pb2.ChunkAck(attempt_id=attempt_id, number=number)])

    def finish_of(self, attempt_id: int, *, timeout_s: float = 10) -> link_pb2.Finished:
        heard = self.of(attempt_id)
        until(lambda: heard.finished, timeout_s=timeout_s, what=f"attempt {attempt_id} has finished")
        return heard.finished[0]

    def started(self, attempt_id: int) -> link_pb2.Started:
        heard = self.of(attempt_id)
        until(lambda: heard.started, what=f"attempt {attempt_id} has started")
        return heard.started[0]

    def pause(self, attempt_id: int, *, on: bool = True) -> link_pb2.Paused:
        """Have it stand still, or go on; the answer."""
        heard = self.of(attempt_id)
        before = len(heard.paused)
        self.send(pauses=[link_pb2.Pause(attempt_id=attempt_id, on=on)])
        until(lambda: len(heard.paused) > before, what=f"attempt {attempt_id} is paused or goes on")
        return heard.paused[before]

    def output_has(self, attempt_id: int, text: bytes, stream: int = 1) -> None:
        heard = self.of(attempt_id)
        until(lambda: text in heard.output(stream), what=f"attempt {attempt_id} has written {text!r}")


class Setup:
    """A fake link and a real executor process on a folder of their own."""

    def __init__(self, **boot: Any) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="tx-"))
        self.folder.chmod(0o755)
        self.link = FakeLink(self.folder)
        self.boot = {
            "executor_id": secrets.token_hex(16),
            "secret": SECRET,
            "link": str(self.link.socket),
            "socket": "/nowhere/tsched.sock",
            "slots": 4,
            "shell": "/bin/sh",
            "runner_idle_s": 60.0,
            "profiles": [DEFAULT_PROFILE],
            "version": "0",
            **boot,
        }
        self.process: subprocess.Popen[bytes] | None = None
        self.complaints = self.folder / "stderr"
        self.complaints.touch()

    def start(self, *prefix: str) -> None:
        """Start the executor; `prefix` is a command to start it with, such as setpriv."""
        read, write = os.pipe()
        command = [*prefix, sys.executable, "-P", "-m", "tsched.executor", "--boot-fd", str(read)]
        with self.complaints.open("ab") as complaints:
            self.process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=complaints,
                pass_fds=[read],
                start_new_session=True,
            )
        os.close(read)
        os.write(write, json.dumps(self.boot).encode())
        os.close(write)

    def place(self) -> Path:
        """A new folder that everybody may use, all the way down."""
        place = Path(tempfile.mkdtemp(dir=self.folder))
        place.chmod(0o777)
        return place

    @property
    def pid(self) -> int:
        assert self.process
        return self.process.pid

    def wait_for_end(self, timeout_s: float = 10) -> int:
        assert self.process
        return self.process.wait(timeout_s)

    def close(self) -> None:
        """End the executor in order; whatever it left behind is for the tests' own check to find."""
        if self.process and self.process.poll() is None:
            self._leave()
        self.link.stop()
        complaints = self.complaints.read_text()
        shutil.rmtree(self.folder, ignore_errors=True)
        assert "Traceback" not in complaints, complaints  # gRPC has its own remarks on links that break

    def runner_pids(self) -> list[int]:
        return [child.pid for child in procs.children(self.pid)]

    def settled(self) -> bool:
        """Whether nothing but idle runners is below the executor."""
        return not [found for runner in self.runner_pids() for found in procs.tree(runner)]

    def _leave(self) -> None:
        assert self.process
        try:
            until(self._left_when_asked, timeout_s=5, what="the executor has nothing to do and leaves")
        finally:
            self.process.kill()
            self.process.wait()

    def _left_when_asked(self) -> bool:
        assert self.process
        self.process.send_signal(signal.SIGTERM)
        return self.process.poll() is not None


def plain_user() -> tuple[str, ...]:
    """How to start a command as a user without privileges; skips the test where that cannot be.

    An interpreter that lies in root's home may be read by that user all the same, so that the tests do not depend on
    where Python was installed. Started through a shell: the first exec after setpriv still has root's rights.
    """
    if os.getuid() != 0:
        return ()
    user = ("setpriv", f"--reuid={PLAIN_UID}", f"--regid={PLAIN_UID}", "--clear-groups")
    reader = (*user, "--inh-caps=+dac_read_search", "--ambient-caps=+dac_read_search")
    complaints = [_complaint(prefix) for prefix in (user, reader)]
    if all(complaints):
        pytest.skip(f"this checkout cannot be used by another user: {complaints}")
    return reader if complaints[0] else user


def _complaint(prefix: tuple[str, ...]) -> str:
    """Why Python cannot be started in this way; empty when it can."""
    run = ("sh", "-c", 'exec "$@"', "sh", sys.executable, "-P", "-c", "import tsched")
    try:
        return subprocess.run([*prefix, *run], check=False, capture_output=True, text=True).stderr
    except OSError as error:
        return str(error)


@contextmanager
def room(*prefix: str, **boot: Any) -> Iterator[Setup]:
    """An executor attached to a fake link, ended in order."""
    setup = Setup(**boot)
    try:
        setup.link.start()
        setup.start(*prefix)
        yield setup
    finally:
        setup.close()


@contextmanager
def shared_room(*prefix: str, **boot: Any) -> Iterator[Setup]:
    """One for many tests."""
    with room(*prefix, **boot) as setup:
        procs.shared.add(setup.pid)
        yield setup
        procs.shared.discard(setup.pid)
