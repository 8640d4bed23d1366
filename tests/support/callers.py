"""Those who call a service over TCP, each under a name of their own, and what they are told."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, NamedTuple

import grpc
from google.rpc.error_details_pb2 import ErrorInfo
from google.rpc.status_pb2 import Status

from support import ports
from support.certs import Authority
from tsched.proto import api_pb2 as api
from tsched.proto import api_pb2_grpc, taskscheduler_pb2_grpc

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

ANSWER_S = 30.0


class Refused(NamedTuple):
    """How a call was refused."""

    status: str
    reason: str
    message: str
    hint: str


class Caller:
    """One connection; every method answers with a message, a list of them, or `Refused`."""

    def __init__(self, channel: grpc.Channel) -> None:
        self.tasks = api_pb2_grpc.TasksStub(channel)
        self.functions = api_pb2_grpc.FunctionsStub(channel)
        self.control = api_pb2_grpc.ControlStub(channel)
        self.predecessor = taskscheduler_pb2_grpc.TaskSchedulerStub(channel)

    def submit(self, command: str, **fields: Any) -> Any:
        """The id of the new task, or how it was refused."""
        spec = api.TaskSpec(command=api.Command(shell=command), cwd="/", **fields)
        answer = told(self.tasks.Submit, api.SubmitRequest(tasks=[spec]))
        return answer if isinstance(answer, Refused) else answer.tasks[0].id

    def wait(self, *ids: str) -> list[str]:
        """The states that tasks ended in."""
        batches = told(self.tasks.Wait, api.WaitRequest(ids=ids))
        return [task.state for batch in batches for task in batch.tasks]

    def page(self, **fields: Any) -> list[str]:
        """The ids of a page."""
        return [task.id for task in told(self.tasks.List, api.ListRequest(**fields)).tasks]

    def events(self, **fields: Any) -> list[api.Event]:
        """All that is kept."""
        batches = told(self.tasks.Events, api.EventsRequest(**fields))
        return [event for batch in batches for event in batch.events]


def told(method: Any, request: Any) -> Any:
    """What a call is answered with."""
    try:
        answer = method(request, timeout=ANSWER_S)
        return answer if hasattr(answer, "DESCRIPTOR") else list(answer)
    except grpc.RpcError as error:
        return _refused(error)


def _refused(error: Any) -> Refused:
    info = ErrorInfo()
    for key, value in error.trailing_metadata() or ():
        if key == "grpc-status-details-bin":
            Status.FromString(value).details[0].Unpack(info)
    return Refused(error.code().name, info.reason, error.details(), info.metadata["hint"])


@contextmanager
def plain(address: str) -> Iterator[Caller]:
    """Somebody without a certificate, or at a socket."""
    with grpc.insecure_channel(address) as channel:
        yield Caller(channel)


class Guarded:
    """A configuration that asks for certificates, and those who have some."""

    def __init__(self, folder: Path) -> None:
        self._authority = Authority(folder)
        self._service = self._authority.sign("service")
        self._port = ports.free()

    def config(self, access: str = "") -> str:
        """What goes into config.toml."""
        lines = [f'addr = "127.0.0.1:{self._port}"', f'tls_cert = "{self._service.cert}"']
        lines += [f'tls_key = "{self._service.key}"', f'tls_ca_cert = "{self._authority.cert}"']
        return "\n".join(["[service]", *lines, "", access])

    @contextmanager
    def caller(self, name: str) -> Iterator[Caller]:
        """The client of this name."""
        pair = self._authority.sign(name)
        credentials = grpc.ssl_channel_credentials(
            self._authority.cert.read_bytes(), pair.key.read_bytes(), pair.cert.read_bytes()
        )
        with grpc.secure_channel(f"127.0.0.1:{self._port}", credentials) as channel:
            yield Caller(channel)
