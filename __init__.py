"""tsched: one local service that runs commands and functions now, later, and truthfully. The public face.

Imports nothing by itself: each name is loaded from its module when it is first asked for.
"""

from __future__ import annotations

TYPE_CHECKING = False  # as typing's; that module costs more than everything here
if TYPE_CHECKING:
    from .client.async_client import AsyncClient
    from .client.client import Client
    from .client.context import Context, current
    from .client.default import configure, default_async_client, default_client
    from .client.failures import TaskFailed, TimeoutError, TschedError  # noqa: A004 - it is one
    from .client.flow import Cancel, Cancelled, Retry, Snooze
    from .client.handles import AsyncHandle, Handle
    from .client.registry import Task, task
    from .client.tls import Tls
    from .client.workflow_handles import AsyncWorkflow, Workflow
    from .client.workflows import Signature, chain, chord, group, result_of

__version__ = "0.1.0"

__all__ = [
    "AsyncClient",
    "AsyncHandle",
    "AsyncWorkflow",
    "Cancel",
    "Cancelled",
    "Client",
    "Context",
    "Handle",
    "Retry",
    "Signature",
    "Snooze",
    "Task",
    "TaskFailed",
    "TimeoutError",
    "Tls",
    "TschedError",
    "Workflow",
    "__version__",
    "chain",
    "chord",
    "configure",
    "current",
    "default_async_client",
    "default_client",
    "group",
    "result_of",
    "task",
]

_HOMES = {
    "async_client": ("AsyncClient",),
    "client": ("Client",),
    "context": ("Context", "current"),
    "default": ("configure", "default_async_client", "default_client"),
    "failures": ("TaskFailed", "TimeoutError", "TschedError"),
    "flow": ("Cancel", "Cancelled", "Retry", "Snooze"),
    "handles": ("AsyncHandle", "Handle"),
    "registry": ("Task", "task"),
    "tls": ("Tls",),
    "workflow_handles": ("AsyncWorkflow", "Workflow"),
    "workflows": ("Signature", "chain", "chord", "group", "result_of"),
}
_HOME_OF = {name: home for home, names in _HOMES.items() for name in names}


def __getattr__(name: str) -> object:
    home = _HOME_OF.get(name)
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module  # noqa: PLC0415 - only when a name is asked for

    value = getattr(import_module(f".client.{home}", __name__), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
