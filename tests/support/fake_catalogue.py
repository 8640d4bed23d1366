"""A catalogue of functions without sources: what a supervisor's parts ask of one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tsched.proto import link_pb2
from tsched.proto.errors import Refusal, RefusalReason
from tsched.supervisor.arguments import params_of
from tsched.supervisor.entries import Entry

if TYPE_CHECKING:
    from collections.abc import Callable, Collection


def entry(name: str, *params: tuple[str, Any], **fields: Any) -> Entry:
    """A function that takes these parameters, each with its type."""
    told = [{"name": each, "kind": "positional_or_keyword", "type": type_, "required": True} for each, type_ in params]
    values: dict[str, Any] = {
        "is_async": False,
        "native": False,
        "source": "builtin",
        "generation": 1,
        "params": params_of(told),
    }
    return Entry(name=name, **(values | fields))


class FakeCatalogue:
    """Knows what it was given, and says when that changes."""

    def __init__(self, *entries: Entry) -> None:
        self.entries = {each.name: each for each in entries}
        self._callbacks: list[Callable[[], None]] = []

    def get(self, name: str) -> Entry | None:
        return self.entries.get(name)

    def find(self, name: str) -> Entry:
        if name not in self.entries:
            raise Refusal(RefusalReason.NO_SUCH_FUNCTION, f"there is no function {name}")
        return self.entries[name]

    def sources(self) -> link_pb2.Sources:
        names = {each.source: each.generation for each in self.entries.values()}
        return link_pb2.Sources(sources=[link_pb2.Source(name=name, generation=n) for name, n in names.items()])

    def on_change(self, callback: Callable[[], None]) -> None:
        self._callbacks.append(callback)

    async def settle(self, names: Collection[str] = ()) -> None:
        pass

    def change(self, *entries: Entry) -> None:
        """Others come instead."""
        self.entries = {each.name: each for each in entries}
        for callback in self._callbacks:
            callback()
