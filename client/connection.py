"""A synchronous client of tsched.v1 over the supervisor's Unix socket, or TCP: one method per call of the contract.

Everything raises Refusal and nothing else. Messages are those of proto/api.proto.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TypeVar

import grpc

from ..proto import api_pb2 as api
from ..proto import endpoint
from ..proto.api_pb2_grpc import ControlStub, FunctionsStub, TasksStub
from ..proto.clock import SECOND_US, SystemClock
from ..proto.errors import Refusal, RefusalReason
from .errors import broken, is_break, refusal_of, unanswered
from .ways import Way, as_way

T = TypeVar("T")

ANSWER_S = 30.0
"""Longest wait for an answer that needs no work; a supervisor that takes longer is stuck."""
SUBMIT_S = 120.0
RELOAD_S = 90.0
"""Longest wait for a supervisor that looks whether what is on disk would start."""
LOAD_S = 120.0
"""Longest wait for a supervisor that looks what functions some code has."""
RETURN_S = 10.0
"""How long a submission waits for a supervisor that went away before it answered."""
PAUSE_S = 0.05
"""Between two attempts to reach a supervisor that is coming back."""


def random_key() -> str:
    """A submission key: 96 random bits behind the time, so that the keys of a big queue are stored in their order."""
    return f"{SystemClock().now_us():016x}{secrets.token_hex(12)}"


class Connection:
    """A connection to one supervisor; use it as a context manager. Not connected before its first call."""

    def __init__(self, where: Way | Path, *, make_key: Callable[[], str] = random_key) -> None:
        self.way = as_way(where)
        self._make_key = make_key
        self._channel = self._opened([*endpoint.BLOCKING_CHANNEL_OPTIONS, *self.way.channel_options])
        self._tasks: Any = TasksStub(self._channel)
        self._control: Any = ControlStub(self._channel)
        self._functions: Any = FunctionsStub(self._channel)

    def _opened(self, options: endpoint.Options) -> grpc.Channel:
        credentials = self.way.credentials()
        if credentials is None:
            return grpc.insecure_channel(self.way.target, options)
        return grpc.secure_channel(self.way.target, credentials, options)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        """End the connection; calls that still run fail."""
        self._channel.close()

    # Tasks.

    def submit(self, specs: Sequence[api.TaskSpec], *, common: api.TaskSpec | None = None) -> list[api.Submitted]:
        """Store all tasks or none; the answer means durable. Asked once more when the connection broke before it.

        `common`: what a task does not say of itself.
        """
        request = api.SubmitRequest(tasks=[keyed(spec, self._make_key) for spec in specs], common=common)
        return self._submitted(self._tasks.Submit, request)

    def _submitted(self, method: Any, request: Any) -> list[api.Submitted]:
        try:
            answer = self._ask(method, request, timeout=SUBMIT_S)
        except Refusal as refusal:
            if not broken(refusal):
                raise
            answer = self._asked_again(method, request)
        return list(answer.tasks)

    def _asked_again(self, method: Any, request: Any) -> Any:
        """The answer of a supervisor that comes back in time. Raises a refusal that says what may have been done."""
        try:
            return self._ask(method, request, timeout=RETURN_S, wait_for_ready=True)
        except Refusal as refusal:
            raise (unanswered(self.way) if broken(refusal) else refusal) from None

    def keyed(self, spec: api.TaskSpec) -> api.TaskSpec:
        """The same with a submission key: repeating it gives the same task."""
        return keyed(spec, self._make_key)

    def run(self, spec: api.TaskSpec) -> Iterator[api.RunEvent]:
        """Submit a task and follow it to its end; reading slowly slows the task."""
        return self._stream(self._tasks.Run, api.RunRequest(task=spec))

    def get(self, id: str, *, result: bool = False) -> api.Task:  # noqa: A002 - the word of the contract
        """One task with its attempts, and with `result` what it returned."""
        task: api.Task = self._ask(self._tasks.Get, api.GetRequest(id=id, result=result))
        return task

    def why(self, id: str) -> api.WhyResponse:  # noqa: A002 - the word of the contract
        """What a task waits for, or why it ended as it did."""
        answer: api.WhyResponse = self._ask(self._tasks.Why, api.WhyRequest(id=id))
        return answer

    def graph(self, ids: Iterable[str], *, limit: int = 0) -> api.GraphResponse:
        """The tasks that these hang together with, at most so many; 0: as many as the supervisor thinks right."""
        answer: api.GraphResponse = self._ask(self._tasks.Graph, api.GraphRequest(ids=ids, limit=limit))
        return answer

    def list_page(self, request: api.ListRequest) -> api.ListResponse:
        """One page of tasks, newest first."""
        page: api.ListResponse = self._ask(self._tasks.List, request)
        return page

    def tasks(
        self, *, states: Iterable[str] = (), queue: str = "", since_us: int | None = None, page_size: int = 1000
    ) -> Iterator[api.Task]:
        """All tasks, newest first, fetched a page at a time; with `since_us` those submitted then or later."""
        request = api.ListRequest(states=states, queue=queue, since_us=since_us, page_size=page_size)
        while True:
            page = self.list_page(request)
            yield from page.tasks
            if not page.next_page_token:
                return
            request.page_token = page.next_page_token

    def modify(self, request: api.ModifyRequest) -> api.Task:
        """Change a task that has not started; the task as it then is."""
        task: api.Task = self._ask(self._tasks.Modify, request)
        return task

    def delete(self, id: str) -> None:  # noqa: A002 - the word of the contract
        """Remove a task that is not running, with all that is kept of it."""
        self._ask(self._tasks.Delete, api.DeleteRequest(id=id))

    def cancel(self, id: str, *, grace_us: int | None = None) -> api.Task:  # noqa: A002 - the word of the contract
        """Ask for a task's end; the wish is durable. `grace_us` instead of the task's own, 0: kill now."""
        task: api.Task = self._ask(self._tasks.Cancel, api.CancelRequest(id=id, grace_us=grace_us))
        return task

    def retry(self, id: str, key: str = "") -> api.Submitted:  # noqa: A002 - the word of the contract
        """Make a new task of a finished one; the same key gives the same new task. Asked once more as `submit` is."""
        request = api.RetryRequest(id=id, key=key or self._make_key())
        [submitted] = self._submitted(self._tasks.Retry, request)
        return submitted

    def hold(self, id: str) -> api.Task:  # noqa: A002 - the word of the contract
        """Keep a task that has not started from starting."""
        task: api.Task = self._ask(self._tasks.Hold, api.HoldRequest(id=id))
        return task

    def release(self, id: str) -> api.Task:  # noqa: A002 - the word of the contract
        """Let a held task go its way."""
        task: api.Task = self._ask(self._tasks.Release, api.ReleaseRequest(id=id))
        return task

    def pause(self, id: str) -> api.Task:  # noqa: A002 - the word of the contract
        """Stop a running task's whole process tree, and the clock of its time limit."""
        task: api.Task = self._ask(self._tasks.Pause, api.PauseRequest(id=id))
        return task

    def resume(self, id: str) -> api.Task:  # noqa: A002 - the word of the contract
        """Let a paused task go on."""
        task: api.Task = self._ask(self._tasks.Resume, api.ResumeRequest(id=id))
        return task

    def wait(
        self,
        ids: Iterable[str],
        *,
        timeout_us: int | None = None,
        outcomes: bool = False,
        results: bool = False,
        on_progress: Callable[[api.TaskProgress], None] | None = None,
    ) -> Iterator[api.Task]:
        """Each task once, as it reaches its final state, or only its outcome. Raises Refusal WAIT_TIMEOUT.

        `results`: with what they returned. `on_progress` is told how far those are that run.
        """
        request = api.WaitRequest(ids=ids, outcomes=outcomes, results=results, progress=on_progress is not None)
        timeout_s = None if timeout_us is None else timeout_us / SECOND_US
        try:
            for batch in self._stream(self._tasks.Wait, request, timeout_s=timeout_s):
                if on_progress is not None:
                    for each in batch.progress:
                        on_progress(each)
                yield from batch.tasks
        except Refusal as refusal:
            if isinstance(refusal.__cause__, grpc.RpcError) and timed_out(refusal.__cause__):
                raise late(ids) from None
            raise

    def logs(self, request: api.LogsRequest) -> Iterator[api.Output]:
        """Kept output in order, and with `follow` what is still to come."""
        return self._stream(self._tasks.Logs, request)

    def events(self, request: api.EventsRequest) -> Iterator[api.EventBatch]:
        """What happened to tasks, in the order it became durable."""
        return self._stream(self._tasks.Events, request)

    # Functions.

    def functions(self) -> list[api.Function]:
        """All that can be called, by name."""
        answer: api.FunctionsResponse = self._ask(self._functions.List, api.FunctionsRequest())
        return list(answer.functions)

    def plugins(self) -> list[api.Plugin]:
        """Where functions come from, by name."""
        answer: api.PluginsResponse = self._ask(self._functions.Plugins, api.PluginsRequest())
        return list(answer.plugins)

    def load(self, name: str) -> list[api.Plugin]:
        """Load a plugin of the library folder that is not loaded. What plugins there are then."""
        return self._plugin(self._functions.Load, name)

    def unload(self, name: str) -> list[api.Plugin]:
        """Let no new call find a plugin's functions."""
        return self._plugin(self._functions.Unload, name)

    def reload_functions(self, name: str = "") -> list[api.Plugin]:
        """Read one source of functions anew, or all of them."""
        return self._plugin(self._functions.Reload, name)

    def _plugin(self, method: Any, name: str) -> list[api.Plugin]:
        answer: api.PluginsResponse = self._ask(method, api.PluginRequest(name=name), timeout=LOAD_S)
        return list(answer.plugins)

    # Control.

    def status(self) -> api.StatusResponse:
        """The service and what it has to do."""
        status: api.StatusResponse = self._ask(self._control.Status, api.StatusRequest())
        return status

    def await_ready(self, timeout_s: float) -> None:
        """Wait until a supervisor answers. Raises Refusal NO_SUPERVISOR when none does in time.

        gRPC's own waiting ends with a connection that breaks, as one does that a dying supervisor still took.
        """
        clock = SystemClock()
        end_us = clock.mono_us() + int(timeout_s * SECOND_US)
        while True:
            left_s = max(0, end_us - clock.mono_us()) / SECOND_US
            try:
                step_s = min(left_s, self.way.ready_step_s)
                self._ask(self._control.Status, api.StatusRequest(), wait_for_ready=True, timeout=step_s)
            except Refusal as refusal:
                if not broken(refusal) or clock.mono_us() >= end_us:
                    raise
                check_welcome(self.way)
                time.sleep(min(left_s, PAUSE_S))
            else:
                return

    def doctor(self) -> api.DoctorResponse:
        """Check store and invariants; takes as long as it takes."""
        findings: api.DoctorResponse = self._ask(self._control.Doctor, api.DoctorRequest(), timeout=None)
        return findings

    def audit(self, request: api.AuditRequest) -> list[api.AuditEntry]:
        """Who changed what, the newest first."""
        answer: api.AuditResponse = self._ask(self._control.Audit, request)
        return list(answer.entries)

    def reload(self) -> None:
        """Begin anew; answered before it begins. Raises Refusal when what is on disk would not start."""
        self._ask(self._control.Reload, api.ReloadRequest(), timeout=RELOAD_S)

    def key_status(self) -> api.KeyStatusResponse:
        """Under which keys everything is; takes as long as it takes to look."""
        status: api.KeyStatusResponse = self._ask(self._control.KeyStatus, api.KeyStatusRequest(), timeout=None)
        return status

    def rotate_key(self) -> Iterator[api.KeyProgress]:
        """Have a new key used, and everything sealed anew; how far that is, until it is done."""
        return self._stream(self._control.RotateKey, api.RotateKeyRequest())

    def shutdown(self, *, drain_us: int | None = None) -> None:
        """Begin to stop; answered at once."""
        self._ask(self._control.Shutdown, api.ShutdownRequest(drain_us=drain_us))

    def await_end(self) -> None:
        """Wait until nobody listens any more, as where a supervisor has stopped that was told to."""
        with suppress(Refusal):
            while True:
                self.way.check_there()
                time.sleep(PAUSE_S)

    # Calls.

    def _ask(self, method: Any, request: Any, *, timeout: float | None = ANSWER_S, wait_for_ready: bool = False) -> Any:
        check_size(request)
        with self._refusing():
            try:
                return method(request, timeout=timeout, wait_for_ready=wait_for_ready)
            except grpc.RpcError as error:
                if not self._returns(error):
                    raise
                return method(request, timeout=timeout, wait_for_ready=True)

    def _stream(self, method: Any, request: Any, *, timeout_s: float | None = None) -> Iterator[Any]:
        check_size(request)
        with self._refusing():
            try:
                first = next(call := method(request, timeout=timeout_s), None)
            except grpc.RpcError as error:
                if not self._returns(error):
                    raise
                first = next(call := method(request, timeout=timeout_s, wait_for_ready=True), None)
            try:
                if first is not None:
                    yield first
                    yield from call
            finally:
                call.cancel()  # a reader who leaves early ends the call; one who read to its end changes nothing

    def _returns(self, error: grpc.RpcError) -> bool:
        """Whether the connection broke because the supervisor begins anew; then it is there again."""
        return is_break(error) and self.way.comes_back(RETURN_S)

    @contextmanager
    def _refusing(self) -> Iterator[None]:
        try:
            yield
        except grpc.RpcError as error:
            raise refusal_of(error, self.way) from error


def keyed(spec: api.TaskSpec, make_key: Callable[[], str]) -> api.TaskSpec:
    """The same with a submission key: repeating it gives the same task."""
    if spec.key:
        return spec
    copy = api.TaskSpec(key=make_key())
    copy.MergeFrom(spec)
    return copy


def check_size(request: Any) -> None:
    """Raises Refusal TOO_LARGE for what no supervisor would take."""
    size = request.ByteSize()
    if size > endpoint.MESSAGE_LIMIT:
        message = f"the request is {size} bytes long, at most {endpoint.MESSAGE_LIMIT} can be sent"
        hint = "ask for fewer tasks at a time, and put data into a file"
        raise Refusal(RefusalReason.TOO_LARGE, message, hint)


def check_welcome(way: Way) -> None:
    """Raises Refusal TLS_FAILED where waiting for a supervisor is in vain: it would not let us in."""
    if not broken(refusal := way.nobody()):
        raise refusal


def late(ids: Iterable[str]) -> Refusal:
    """What it means that these have not ended when the time was over."""
    names = list(ids)
    more = f" and {len(names) - 3} more" if len(names) > 3 else ""  # noqa: PLR2004 - a few are enough
    message = f"not ended in time: {', '.join(names[:3])}{more}"
    return Refusal(RefusalReason.WAIT_TIMEOUT, message, "wait again, or see what they do: tsched list")


def timed_out(error: grpc.RpcError) -> bool:
    """Whether the time that a call was given is over."""
    return bool(error.code() is grpc.StatusCode.DEADLINE_EXCEEDED)
