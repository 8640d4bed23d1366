"""One source as it is held, and all of them together: who has which name. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from .entries import Entry, Origin, entries_of
from .remembered import KeptSource
from .sources import Found

LOADED, UNLOADED, FAILED = "loaded", "unloaded", "failed"
Key = tuple[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Held:
    """One source as it is now."""

    origin: Origin
    state: str
    message: str = ""
    """Why it failed, or what is wrong with its newest code."""
    unsafe: bool = False
    generation: int = 0
    loaded_at_us: int | None = None
    functions: tuple[Any, ...] = ()
    """As its inspection told them."""
    entries: tuple[Entry, ...] = ()

    @property
    def key(self) -> Key:
        """Tells sources apart, also those that claim the same name."""
        return (self.origin.name, self.origin.path)


@dataclass(frozen=True, slots=True)
class Index:
    """Every function by its name; and of the names that a source has in vain, who has them."""

    entries: Mapping[str, Entry] = field(default_factory=dict)
    aliases: Mapping[str, Entry] = field(default_factory=dict)
    taken: Mapping[Key, list[str]] = field(default_factory=dict)


def index_of(held: Iterable[Held]) -> Index:
    """Who has which name: the first source that has it. Pure."""
    entries: dict[str, Entry] = {}
    aliases: dict[str, Entry] = {}
    taken: dict[Key, list[str]] = {}
    for each in held:
        for entry in each.entries:
            if (first := entries.setdefault(entry.name, entry)) is not entry:
                taken.setdefault(each.key, []).append(f"{entry.name} is of {first.source} already")
                continue
            if entry.alias:
                aliases.setdefault(entry.alias, entry)
    return Index(entries, aliases, taken)


def pending(found: Found) -> Held:
    """A source that was found, and nothing more yet."""
    return Held(origin=found.origin, state=FAILED, message=found.wrong or "it is still being looked at")


def restored(kept: KeptSource) -> Held:
    """A source as it was before a restart."""
    entries, _ = entries_of(kept.origin, kept.generation, kept.functions)
    return Held(
        origin=kept.origin,
        state=LOADED,
        generation=kept.generation,
        loaded_at_us=kept.loaded_at_us,
        functions=kept.functions,
        entries=tuple(entries),
    )


def to_keep(held: Held) -> KeptSource:
    """What is kept of a loaded source."""
    return KeptSource(
        origin=held.origin,
        generation=held.generation,
        loaded_at_us=held.loaded_at_us or 0,
        functions=held.functions,
    )
