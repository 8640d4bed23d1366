"""tsched: one local service that runs commands and functions now, later, and truthfully. The public face.

Imports nothing by itself: each name is loaded from its module when it is first asked for.
"""

from __future__ import annotations

TYPE_CHECKING = False  # as typing's; that module costs more than everything here
if TYPE_CHECKING:
    from .client.context import Context, current
    from .client.flow import Cancel, Cancelled, Retry, Snooze
    from .client.registry import Task, task

__version__ = "0.1.0"

__all__ = [
    "Cancel",
    "Cancelled",
    "Context",
    "Retry",
    "Snooze",
    "Task",
    "__version__",
    "current",
    "task",
]

_HOMES = {
    "context": ("Context", "current"),
    "flow": ("Cancel", "Cancelled", "Retry", "Snooze"),
    "registry": ("Task", "task"),
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
