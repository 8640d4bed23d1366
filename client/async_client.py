"""`AsyncClient`: the service as async code uses it; the twin of `Client` (client.py), method for method."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from types import TracebackType
from typing import Any, Self, TypeVar, Unpack, cast, overload

from ..proto import api_pb2 as api
from . import default, requests, views
from .async_connection import AsyncConnection
from .async_remote import AsyncRemote
from .failures import public_errors
from .handles import AsyncHandle
from .options import CallOptions, Seconds, instant_us, limit_us
from .place import way_of
from .planning import Promise
from .registry import Task
from .services import AsyncService
from .tls import StrPath, Tls
from .workflow_handles import AsyncWorkflow, collected
from .workflows import Node

R = TypeVar("R")
Handles = list[AsyncHandle[R]]  # where a method is called list, this is what list was
Ids = list[str]
Results = list[R]
Causes = list[views.Cause]
Functions = list[views.FunctionInfo]
Plugins = list[views.PluginInfo]


class AsyncClient:
    """Connections to one service, one for each event loop. Every method may raise TschedError.

    gRPC's async side does not live on after a fork: start such processes anew ("spawn"). No service is started: where
    none answers, the error says how to start one (`tsched up -d`). As an async context manager it closes.
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
            self.service: AsyncService = AsyncRemote(way_of(socket, state_dir, addr, tls))

    @classmethod
    def over(cls, service: AsyncService) -> Self:
        """A client of something that does as a service does."""
        client = cls.__new__(cls)
        client.service = service
        return client

    def __repr__(self) -> str:
        return f"<{type(self).__name__} of {getattr(self.service, 'way', self.service)}>"

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """End this event loop's connection; a later call makes another."""
        if isinstance(self.service, AsyncRemote):
            await self.service.close()

    @contextmanager
    def as_default(self) -> Iterator[Self]:
        """Let `.adelay()` go to this one, within the block: in this async task and those it starts."""
        with default.using_async(self):
            yield self

    # Submit.

    @overload
    async def submit(
        self,
        function: Task[..., R],
        /,
        *args: Any,
        kwargs: Mapping[str, Any] | None = None,
        **options: Unpack[CallOptions],
    ) -> AsyncHandle[R]: ...
    @overload
    async def submit(
        self, function: str, /, *args: Any, kwargs: Mapping[str, Any] | None = None, **options: Unpack[CallOptions]
    ) -> AsyncHandle[Any]: ...
    async def submit(
        self,
        function: Task[..., Any] | str,
        /,
        *args: Any,
        kwargs: Mapping[str, Any] | None = None,
        **options: Unpack[CallOptions],
    ) -> AsyncHandle[Any]:
        """Submit a call of a task, or of whatever the service knows by this name; durable when this returns."""
        plan = requests.call(function, args, kwargs, options)
        return AsyncHandle(self.service, (await self._stored(plan.specs))[-1])

    @overload
    async def map(
        self, function: Task[..., R], calls: Iterable[Iterable[Any]], /, **options: Unpack[CallOptions]
    ) -> Handles[R]: ...
    @overload
    async def map(
        self, function: str, calls: Iterable[Iterable[Any]], /, **options: Unpack[CallOptions]
    ) -> Handles[Any]: ...
    async def map(
        self, function: Task[..., Any] | str, calls: Iterable[Iterable[Any]], /, **options: Unpack[CallOptions]
    ) -> Handles[Any]:
        """Submit a call for each tuple of arguments, 10,000 in one request. All of a request are stored, or none."""
        handles: Handles[Any] = []
        for specs, places in requests.calls(function, calls, options):
            ids = await self._stored(specs)
            handles.extend(AsyncHandle(self.service, ids[place]) for place in places)
        return handles

    async def start(self, workflow: Node[R]) -> AsyncWorkflow[R]:
        """Submit a workflow, all of it or nothing; durable when this returns."""
        plan, shape = requests.workflow(workflow)
        return AsyncWorkflow(self.service, await self._stored(plan.specs), shape)

    async def shell(
        self,
        command: str | Sequence[str],
        *,
        cwd: str | os.PathLike[str] | None = None,
        env: Mapping[str, str] | None = None,
        stdin: bytes | str | None = None,
        **options: Unpack[CallOptions],
    ) -> AsyncHandle[int]:
        """Submit a command, a line for the shell or the words of a program call, to run as if it was typed here.

        Its result is 0; another exit code is a TaskFailed that carries it.
        """
        plan = requests.command(command, options, cwd=cwd, env=env, stdin=stdin, far=self._is_far)
        return AsyncHandle(self.service, (await self._stored(plan.specs))[-1])

    async def _stored(self, specs: Sequence[api.TaskSpec]) -> Ids:
        if not specs:
            return []
        with public_errors():
            return [each.id for each in await self.service.submit(specs)]

    # Look.

    def handle(self, id: str) -> AsyncHandle[Any]:  # noqa: A002 - it is called id everywhere
        """A handle of a task that was submitted before, also elsewhere. The service is not asked."""
        return AsyncHandle(self.service, id)

    async def get(self, id: str) -> views.TaskInfo:  # noqa: A002
        """A task as it is now."""
        return await self.handle(id).info()

    async def list(
        self, *, states: Iterable[str] = (), queue: str = "", since: datetime | None = None
    ) -> AsyncIterator[views.TaskInfo]:
        """Tasks, newest first, fetched as they are taken: those in these states, in a queue, submitted since then."""
        since_us = None if since is None else instant_us(since)
        request = api.ListRequest(states=states, queue=queue, since_us=since_us, page_size=requests.PAGE)
        with public_errors():
            async for task in self._connection.listed(request):
                yield views.task_info(task)

    async def wait(
        self,
        *tasks: Promise[Any] | str,
        timeout: Seconds | None = None,  # noqa: ASYNC109 - the same for both kinds
    ) -> AsyncIterator[AsyncHandle[Any]]:
        """Each of these (handles, workflows, ids) once, as it ends, however it ends. Raises TimeoutError."""
        ids = requests.ids(tasks)
        with public_errors():
            async for task in self.service.ended(ids, limit_us(timeout)):
                yield AsyncHandle(self.service, task.id)

    async def results(
        self,
        handles: Iterable[Promise[R]],
        timeout: Seconds | None = None,  # noqa: ASYNC109 - the same for both kinds
    ) -> Results[R]:
        """What these come to, in their order; waited for in one request, however many they are.

        Raises TaskFailed of the first of them that did not end well, TimeoutError.
        """
        shape = requests.shape(handles)
        with public_errors():
            ended = {task.id: task async for task in self.service.ended(requests.ids_of(shape), limit_us(timeout))}
            return cast("Results[R]", collected(shape, ended))

    async def why(self, id: str) -> Causes:  # noqa: A002
        """What a task waits for, first what has to happen first; or why it ended as it did."""
        with public_errors():
            answer = await self._connection.ask(self._connection.tasks.Why, api.WhyRequest(id=id))
            return [views.cause(each) for each in answer.causes]

    async def events(
        self, *, after: int | None = None, follow: bool = True, ids: Iterable[str] = ()
    ) -> AsyncIterator[views.Event]:
        """What happens to tasks from now on, or since an event's cursor (0: since the oldest that is kept)."""
        request = requests.events(after, follow=follow, ids=ids)
        with public_errors():
            async for batch in self._remote.events(request):
                for each in batch.events:
                    yield views.event(each)

    # Steer.

    async def cancel(self, id: str, grace: Seconds | None = None) -> None:  # noqa: A002
        """Ask for a task's end, and that of all it started; the wish is durable."""
        await self.handle(id).cancel(grace)

    async def retry(self, id: str) -> AsyncHandle[Any]:  # noqa: A002
        """Make a new task that does what a finished one did."""
        with public_errors():
            return AsyncHandle(self.service, (await self._connection.retry(id)).id)

    async def delete(self, id: str) -> None:  # noqa: A002
        """Remove a task that is not running, with all that is kept of it."""
        with public_errors():
            await self._connection.ask(self._connection.tasks.Delete, api.DeleteRequest(id=id))

    async def hold(self, id: str) -> None:  # noqa: A002
        """Keep a task that has not started from starting, until it is released."""
        with public_errors():
            await self._connection.ask(self._connection.tasks.Hold, api.HoldRequest(id=id))

    async def release(self, id: str) -> None:  # noqa: A002
        """Let a held task go its way."""
        with public_errors():
            await self._connection.ask(self._connection.tasks.Release, api.ReleaseRequest(id=id))

    # Functions.

    async def functions(self) -> Functions:
        """All that can be called, by name."""
        with public_errors():
            answer = await self._connection.ask(self._connection.functions.List, api.FunctionsRequest())
            return [views.function(each) for each in answer.functions]

    async def plugins(self) -> Plugins:
        """Where functions come from, and what could not be loaded."""
        with public_errors():
            answer = await self._connection.ask(self._connection.functions.Plugins, api.PluginsRequest())
            return views.plugins(answer.plugins)

    async def load_plugin(self, name: str) -> Plugins:
        """Load a plugin of the library folder; when this returns its functions can be called."""
        with public_errors():
            return views.plugins(await self._connection.plugins(self._connection.functions.Load, name))

    async def unload_plugin(self, name: str) -> Plugins:
        """Let no new call find a plugin's functions; running ones finish."""
        with public_errors():
            return views.plugins(await self._connection.plugins(self._connection.functions.Unload, name))

    async def reload_plugins(self, name: str = "") -> Plugins:
        """Read one source of functions anew, or all; running calls finish on the old code, later ones run the new."""
        with public_errors():
            return views.plugins(await self._connection.plugins(self._connection.functions.Reload, name))

    @property
    def _is_far(self) -> bool:
        """Whether the service is on another machine."""
        return isinstance(self.service, AsyncRemote) and self.service.way.is_far

    @property
    def _remote(self) -> AsyncRemote:
        """Raises Refusal for what only a supervisor can do."""
        if not isinstance(self.service, AsyncRemote):
            raise requests.only_remote()
        return self.service

    @property
    def _connection(self) -> AsyncConnection:
        return self._remote.connection
