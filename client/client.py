"""`Client`: the service as programs use it. It blocks; `AsyncClient` (async_client.py) is its twin for async code."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from types import TracebackType
from typing import Any, Self, TypeVar, Unpack, cast, overload

from ..proto import api_pb2 as api
from . import default, requests, views
from .failures import public_errors
from .feed import follow_events
from .handles import Handle
from .options import CallOptions, Seconds, instant_us, limit_us
from .place import way_of
from .planning import Promise
from .registry import Task
from .remote import Remote
from .services import Service
from .tls import StrPath, Tls
from .workflow_handles import Workflow, collected
from .workflows import Node

R = TypeVar("R")
Handles = list[Handle[R]]  # where a method is called list, this is what list was
Ids = list[str]
Results = list[R]
Causes = list[views.Cause]
Functions = list[views.FunctionInfo]
Plugins = list[views.PluginInfo]


class Client:
    """A connection to one service; made when it is first needed. Every method may raise TschedError.

    It may be used from any thread. A process that was forked makes a connection of its own, or raises where gRPC was
    told not to heed forks (GRPC_ENABLE_FORK_SUPPORT=0); a fork beside calls that are under way is not safe: start such
    processes anew ("spawn"). No service is started: where none answers, the error says how to start one (`tsched up
    -d`). As a context manager it closes.
    """

    def __init__(
        self,
        socket: StrPath | None = None,
        *,
        state_dir: StrPath | None = None,
        addr: str | None = None,
        tls: Tls | None = None,
    ) -> None:
        """The service behind a socket, that of a state folder, or at an address ("HOST:PORT").

        With nothing: where the command line would look. `tls` is needed for every address but those of the loopback.
        """
        with public_errors():
            self.service: Service = Remote(way_of(socket, state_dir, addr, tls))

    @classmethod
    def over(cls, service: Service) -> Self:
        """A client of something that does as a service does."""
        client = cls.__new__(cls)
        client.service = service
        return client

    def __repr__(self) -> str:
        return f"<{type(self).__name__} of {getattr(self.service, 'way', self.service)}>"

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        """End this process's connection; a later call makes another."""
        if isinstance(self.service, Remote):
            self.service.close()

    @contextmanager
    def as_default(self) -> Iterator[Self]:
        """Let `.delay()` go to this one, within the block: in this thread, or this async task and those it starts."""
        with default.using(self):
            yield self

    # Submit.

    @overload
    def submit(
        self,
        function: Task[..., R],
        /,
        *args: Any,
        kwargs: Mapping[str, Any] | None = None,
        **options: Unpack[CallOptions],
    ) -> Handle[R]: ...
    @overload
    def submit(
        self, function: str, /, *args: Any, kwargs: Mapping[str, Any] | None = None, **options: Unpack[CallOptions]
    ) -> Handle[Any]: ...
    def submit(
        self,
        function: Task[..., Any] | str,
        /,
        *args: Any,
        kwargs: Mapping[str, Any] | None = None,
        **options: Unpack[CallOptions],
    ) -> Handle[Any]:
        """Submit a call of a task, or of whatever the service knows by this name; durable when this returns."""
        plan = requests.call(function, args, kwargs, options)
        return Handle(self.service, self._stored(plan.specs)[-1])

    @overload
    def map(
        self, function: Task[..., R], calls: Iterable[Iterable[Any]], /, **options: Unpack[CallOptions]
    ) -> Handles[R]: ...
    @overload
    def map(self, function: str, calls: Iterable[Iterable[Any]], /, **options: Unpack[CallOptions]) -> Handles[Any]: ...
    def map(
        self, function: Task[..., Any] | str, calls: Iterable[Iterable[Any]], /, **options: Unpack[CallOptions]
    ) -> Handles[Any]:
        """Submit a call for each tuple of arguments, 10,000 in one request. All of a request are stored, or none."""
        handles: Handles[Any] = []
        for specs, places in requests.calls(function, calls, options):
            ids = self._stored(specs)
            handles.extend(Handle(self.service, ids[place]) for place in places)
        return handles

    def start(self, workflow: Node[R]) -> Workflow[R]:
        """Submit a workflow, all of it or nothing; durable when this returns."""
        plan, shape = requests.workflow(workflow)
        return Workflow(self.service, self._stored(plan.specs), shape)

    def shell(
        self,
        command: str | Sequence[str],
        *,
        cwd: str | os.PathLike[str] | None = None,
        env: Mapping[str, str] | None = None,
        stdin: bytes | str | None = None,
        **options: Unpack[CallOptions],
    ) -> Handle[int]:
        """Submit a command, a line for the shell or the words of a program call, to run as if it was typed here.

        Its result is 0; another exit code is a TaskFailed that carries it.
        """
        plan = requests.command(command, options, cwd=cwd, env=env, stdin=stdin, far=self._is_far)
        return Handle(self.service, self._stored(plan.specs)[-1])

    def _stored(self, specs: Sequence[api.TaskSpec]) -> Ids:
        if not specs:
            return []
        with public_errors():
            return [each.id for each in self.service.submit(specs)]

    # Look.

    def handle(self, id: str) -> Handle[Any]:  # noqa: A002 - it is called id everywhere
        """A handle of a task that was submitted before, also elsewhere. The service is not asked."""
        return Handle(self.service, id)

    def get(self, id: str) -> views.TaskInfo:  # noqa: A002
        """A task as it is now."""
        return self.handle(id).info()

    def list(
        self, *, states: Iterable[str] = (), queue: str = "", since: datetime | None = None
    ) -> Iterator[views.TaskInfo]:
        """Tasks, newest first, fetched as they are taken: those in these states, in a queue, submitted since then."""
        since_us = None if since is None else instant_us(since)
        with public_errors():
            for task in self._remote.connection.tasks(states=states, queue=queue, since_us=since_us):
                yield views.task_info(task)

    def wait(self, *tasks: Promise[Any] | str, timeout: Seconds | None = None) -> Iterator[Handle[Any]]:
        """Each of these (handles, workflows, ids) once, as it ends, however it ends. Raises TimeoutError."""
        ids = requests.ids(tasks)
        with public_errors():
            for task in self.service.ended(ids, limit_us(timeout)):
                yield Handle(self.service, task.id)

    def results(self, handles: Iterable[Promise[R]], timeout: Seconds | None = None) -> Results[R]:
        """What these come to, in their order; waited for in one request, however many they are.

        Raises TaskFailed of the first of them that did not end well, TimeoutError.
        """
        shape = requests.shape(handles)
        with public_errors():
            ended = {task.id: task for task in self.service.ended(requests.ids_of(shape), limit_us(timeout))}
            return cast("Results[R]", collected(shape, ended))

    def why(self, id: str) -> Causes:  # noqa: A002
        """What a task waits for, first what has to happen first; or why it ended as it did."""
        with public_errors():
            return [views.cause(each) for each in self._remote.connection.why(id).causes]

    def events(
        self, *, after: int | None = None, follow: bool = True, ids: Iterable[str] = ()
    ) -> Iterator[views.Event]:
        """What happens to tasks from now on, or since an event's cursor (0: since the oldest that is kept)."""
        request = requests.events(after, follow=follow, ids=ids)
        with public_errors():
            for batch in follow_events(self._remote.connection, request, on_break=lambda _id: None):
                yield from map(views.event, batch.events)

    # Steer.

    def cancel(self, id: str, grace: Seconds | None = None) -> None:  # noqa: A002
        """Ask for a task's end, and that of all it started; the wish is durable."""
        self.handle(id).cancel(grace)

    def retry(self, id: str) -> Handle[Any]:  # noqa: A002
        """Make a new task that does what a finished one did."""
        with public_errors():
            return Handle(self.service, self._remote.connection.retry(id).id)

    def delete(self, id: str) -> None:  # noqa: A002
        """Remove a task that is not running, with all that is kept of it."""
        with public_errors():
            self._remote.connection.delete(id)

    def hold(self, id: str) -> None:  # noqa: A002
        """Keep a task that has not started from starting, until it is released."""
        with public_errors():
            self._remote.connection.hold(id)

    def release(self, id: str) -> None:  # noqa: A002
        """Let a held task go its way."""
        with public_errors():
            self._remote.connection.release(id)

    # Functions.

    def functions(self) -> Functions:
        """All that can be called, by name."""
        with public_errors():
            return [views.function(each) for each in self._remote.connection.functions()]

    def plugins(self) -> Plugins:
        """Where functions come from, and what could not be loaded."""
        with public_errors():
            return views.plugins(self._remote.connection.plugins())

    def load_plugin(self, name: str) -> Plugins:
        """Load a plugin of the library folder; when this returns its functions can be called."""
        with public_errors():
            return views.plugins(self._remote.connection.load(name))

    def unload_plugin(self, name: str) -> Plugins:
        """Let no new call find a plugin's functions; running ones finish."""
        with public_errors():
            return views.plugins(self._remote.connection.unload(name))

    def reload_plugins(self, name: str = "") -> Plugins:
        """Read one source of functions anew, or all; running calls finish on the old code, later ones run the new."""
        with public_errors():
            return views.plugins(self._remote.connection.reload_functions(name))

    @property
    def _is_far(self) -> bool:
        """Whether the service is on another machine."""
        return isinstance(self.service, Remote) and self.service.way.is_far

    @property
    def _remote(self) -> Remote:
        """Raises Refusal for what only a supervisor can do."""
        if not isinstance(self.service, Remote):
            raise requests.only_remote()
        return self.service
