"""A supervisor that does as it is told: tsched.v1 on a real Unix socket, each method a function the test gives."""

from __future__ import annotations

from concurrent import futures
from typing import TYPE_CHECKING, Any

import grpc
from google.protobuf import any_pb2
from google.rpc import error_details_pb2, status_pb2
from grpc_status import rpc_status

from tsched.proto import api_pb2, api_pb2_grpc, endpoint
from tsched.proto.errors import DOMAIN

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

METHODS = (
    *("Submit", "Run", "Get", "Modify", "Delete", "Cancel", "Wait", "Logs", "Doctor", "Shutdown"),
    *("Retry", "Hold", "Release", "Pause", "Resume", "Events", "Why", "Graph"),
    *("Plugins", "Load", "Unload", "Audit"),
)
SHARED = {"List": api_pb2.FunctionsRequest, "Reload": api_pb2.PluginRequest}
"""Names that two services have; what belongs to Functions is `on["Functions.List"]`, told by its request."""


class FakeApi(api_pb2_grpc.TasksServicer, api_pb2_grpc.ControlServicer, api_pb2_grpc.FunctionsServicer):
    """`on["Get"] = lambda request, context: ...`; every request is kept in `asked`."""

    def __init__(self, socket: Path) -> None:
        self.socket = socket
        self.on: dict[str, Callable[[Any, Any], Any]] = {"Status": answering(api_pb2.StatusResponse())}
        self.asked: list[tuple[str, Any]] = []
        self._server = grpc.server(futures.ThreadPoolExecutor(max_workers=8), options=endpoint.SERVER_OPTIONS)
        api_pb2_grpc.add_TasksServicer_to_server(self, self._server)
        api_pb2_grpc.add_ControlServicer_to_server(self, self._server)
        api_pb2_grpc.add_FunctionsServicer_to_server(self, self._server)
        self._server.add_insecure_port(f"unix:{socket}")
        self._server.start()

    def stop(self) -> None:
        self._server.stop(None).wait()

    def requests(self, method: str) -> list[Any]:
        return [request for name, request in self.asked if name == method]

    def _answer(self, method: str, request: Any, context: Any) -> Any:
        if isinstance(request, SHARED.get(method, ())):
            method = f"Functions.{method}"
        self.asked.append((method, request))
        return self.on[method](request, context)


def _method(name: str) -> Callable[[FakeApi, Any, Any], Any]:
    return lambda self, request, context: self._answer(name, request, context)


for _name in (*METHODS, *SHARED, "Status"):
    setattr(FakeApi, _name, _method(_name))


def answering(message: Any) -> Any:
    """A handler that always gives this."""
    return lambda _request, _context: message


def refusing(status: str, reason: str, message: str, hint: str = "") -> Any:
    """A handler that refuses as a supervisor does."""
    detail = any_pb2.Any()
    detail.Pack(error_details_pb2.ErrorInfo(reason=reason, domain=DOMAIN, metadata={"hint": hint}))
    rich = status_pb2.Status(code=grpc.StatusCode[status].value[0], message=message, details=[detail])
    return lambda _request, context: context.abort_with_status(rpc_status.to_status(rich))


def gone(_request: Any, context: Any) -> None:
    """A handler that ends the call as a connection does whose other side was killed."""
    context.abort(grpc.StatusCode.UNAVAILABLE, "Socket closed")


def streaming(*items: Any, then: Any = None) -> Any:
    """A handler that gives these, and then does as another handler."""

    def handle(request: Any, context: Any) -> Any:
        yield from items
        if then is not None:
            then(request, context)

    return handle


def in_turn(*handlers: Any) -> Any:
    """A handler that does the first thing at its first call, and so on; the last one for ever."""
    left = list(handlers)

    def handle(request: Any, context: Any) -> Any:
        return (left.pop(0) if len(left) > 1 else left[0])(request, context)

    return handle
