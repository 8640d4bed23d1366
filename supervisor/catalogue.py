"""The functions that can be called now, and the sources they come from.

`find` and `get` take a function's name or an alias of it; who stores or assigns a call writes `Entry.name` into it, the
only name that its source knows. A source's generation tells its code apart and only grows, over restarts too.

A source is looked at by an inspection, and counts from then on; one whose newest code cannot be loaded stays as it was
and says so. After a restart what was known last counts until it has been looked at again.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping
from contextlib import suppress
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from ..proto import link_pb2
from ..proto.clock import Clock
from ..proto.errors import Refusal, RefusalReason
from . import complaints, log, remembered, sources, system
from .background import Background
from .config import Config
from .entries import PLUGIN_KINDS, Entry, Origin, entries_of
from .held import FAILED, LOADED, UNLOADED, Held, Key, index_of, pending, restored, to_keep
from .inspection import Description, InspectionError, Inspector, Keeper
from .places import Paths
from .remembered import Kept
from .sources import Found

T = TypeVar("T")

GENERATION_US = 1000
SETTLE_S = 60.0


class Catalogue:
    """Knows every function that can be called."""

    def __init__(
        self,
        *,
        config: Config,
        paths: Paths,
        clock: Clock,
        background: Background,
        keeper: Keeper,
        library_dir: Path | None = None,
        inspector: Inspector | None = None,
    ) -> None:
        self._config = config
        self._state_dir = paths.state_dir
        self._clock = clock
        self._background = background
        self._asked_library = library_dir
        self._several_users = paths.system
        nobody = system.nobody() if paths.system else None
        self._inspector = inspector or Inspector(keeper, paths.state_dir, uid=nobody)
        self._callbacks: list[Callable[[], None]] = []
        self._first_done = False
        self._changed = asyncio.Event()
        self._changing = asyncio.Lock()
        self._looks: set[asyncio.Task[Any]] = set()
        self._closed = False
        # Where nothing is kept the clock says what is more than before: no source is loaded so often.
        former = remembered.read(paths.state_dir) or Kept(last_generation=clock.now_us() // GENERATION_US)
        self._last_generation = former.last_generation
        self._unloaded = set(former.unloaded)
        self._held: dict[Key, Held] = {each.key: each for each in map(restored, former.sources)}
        self._index = index_of(self._held.values())

    # What there is.

    def get(self, name: str) -> Entry | None:
        """The function of this name or alias."""
        return self._index.entries.get(name) or self._index.aliases.get(name)

    def find(self, name: str) -> Entry:
        """The same. Raises Refusal NO_SUCH_FUNCTION with the name that was probably meant."""
        if (entry := self.get(name)) is None:
            raise complaints.no_function(name, self._source_of(name), [*self._index.entries, *self._index.aliases])
        return entry

    def entries(self) -> list[Entry]:
        """Every function, by name."""
        return [self._index.entries[name] for name in sorted(self._index.entries)]

    def source(self, entry: Entry) -> link_pb2.Source:
        """Where an executor finds it."""
        for held in self._held.values():
            if held.origin.name == entry.source and held.generation == entry.generation:
                return held.origin.link(held.generation)
        return link_pb2.Source(name=entry.source, generation=entry.generation)

    def sources(self) -> link_pb2.Sources:
        """All sources that have functions."""
        loaded = [held.origin.link(held.generation) for held in self._held.values() if held.state == LOADED]
        return link_pb2.Sources(sources=loaded)

    def held(self) -> list[Held]:
        """Every source, by name, with all that is wrong with it in its message."""
        told = [replace(each, message=self._message(each)) for each in self._held.values()]
        return sorted(told, key=lambda each: each.key)

    def served_by(self, held: Held) -> list[str]:
        """The names that this source has, and no other before it."""
        return sorted(each.name for each in held.entries if self._index.entries.get(each.name) is each)

    async def untrusted(self) -> list[Found]:
        """What was loaded, and what others could change since."""
        found = await asyncio.to_thread(sources.discover, self._config, self.library)
        return [each for each in found if each.unsafe and self._is_loaded(each.origin)]

    def _is_loaded(self, origin: Origin) -> bool:
        held = self._held.get((origin.name, origin.path))
        return held is not None and held.state == LOADED

    @property
    def library(self) -> Path | None:
        """The folder of plugins, if there is one."""
        return sources.library_of(self._config, self._state_dir, self._asked_library, several_users=self._several_users)

    def on_change(self, callback: Callable[[], None]) -> None:
        """Have this called whenever sources or functions are others than before."""
        self._callbacks.append(callback)

    # Its life.

    def start(self) -> None:
        """Look at everything, in the background."""
        self._background.spawn(self._begin())

    async def settle(self, names: Collection[str] = (), *, limit_s: float = SETTLE_S) -> None:
        """Wait until all sources have been looked at once, or until all these names are known; but not for ever."""
        with suppress(TimeoutError):
            await asyncio.wait_for(self._settled(names), limit_s)

    async def _settled(self, names: Collection[str]) -> None:
        while not (self._first_done or (names and all(map(self.get, names)))):
            await self._changed.wait()

    async def close(self) -> None:
        """Look at nothing any more, and end what is being looked at."""
        self._closed = True
        for look in list(self._looks):
            look.cancel()
        await asyncio.gather(*self._looks, return_exceptions=True)

    async def _begin(self) -> None:
        with suppress(Refusal):  # closed meanwhile
            await self._work(self._inspector.clear)
            await self._work(self._look_at_all)
        self._first_done = True
        self._ring()

    # Changes.

    async def reload_all(self) -> None:
        """Look at everything anew. What cannot be loaded stays as it was and says so."""
        await self._work(self._look_at_all)

    async def reload(self, name: str) -> None:
        """Look at one source anew. Raises Refusal NO_SUCH_PLUGIN, WRONG_STATE, PLUGIN_FAILED."""
        if name in self._unloaded:
            raise Refusal(RefusalReason.WRONG_STATE, f"{name} is unloaded", f"load it: tsched plugins load {name}")
        await self._work(partial(self._look_at_one, name))
        complaints.check_loaded(name, self._named(name))

    async def load(self, name: str) -> None:
        """Load a plugin that is not loaded. Raises Refusal as `reload` does."""
        held = self._named(name)
        if held is not None and held.state == LOADED:
            hint = f"to read it anew: tsched plugins reload {name}"
            raise Refusal(RefusalReason.WRONG_STATE, f"{name} is loaded already", hint)
        await self._work(partial(self._look_at_one, name, wanted=True))
        complaints.check_loaded(name, self._named(name))

    async def unload(self, name: str) -> None:
        """Have no new call find its functions, over restarts too. Raises Refusal NO_SUCH_PLUGIN, WRONG_STATE."""
        await self._work(partial(self._unload, name))

    async def _unload(self, name: str) -> None:
        held = self._named(name)
        if held is None:
            raise complaints.no_source(name, [key[0] for key in self._held])
        if held.origin.kind not in PLUGIN_KINDS:
            raise complaints.not_to_unload(held.origin)
        if held.state == UNLOADED:
            raise Refusal(RefusalReason.WRONG_STATE, f"{name} is unloaded already", f"tsched plugins load {name}")
        self._unloaded.add(name)
        self._publish({**self._held, held.key: Held(origin=held.origin, state=UNLOADED)})
        await self._remember()

    async def _look_at_all(self) -> None:
        found = await asyncio.to_thread(sources.discover, self._config, self.library)
        order = [(each.origin.name, each.origin.path) for each in found]
        known = {(each.origin.name, each.origin.path): each.origin for each in found}
        # What is gone, or is something else now, counts no more.
        kept = {key: each for key, each in self._held.items() if known.get(key) == each.origin}
        self._arrange(order, {**{each.key: each for each in map(pending, found)}, **kept})

        async def look(each: Found) -> None:
            held = await self._looked_at(each)
            self._arrange(order, {**self._held, held.key: held})

        await _all_or_cancelled(look(each) for each in found)
        await self._remember()

    async def _look_at_one(self, name: str, *, wanted: bool = False) -> None:
        """Look at the source of this name as it is on disk now."""
        found = await asyncio.to_thread(sources.discover, self._config, self.library)
        each = self._one_of(found, name)
        if wanted:
            self._unloaded.discard(name)
        held = await self._looked_at(each)
        order = [(each.origin.name, each.origin.path) for each in found]
        others = {key: other for key, other in self._held.items() if key[0] != name}
        self._arrange(order, {**others, held.key: held})
        await self._remember()

    def _one_of(self, found: list[Found], name: str) -> Found:
        each = next((each for each in found if each.origin.name == name), None)
        if each is None:
            raise complaints.no_source(name, [key[0] for key in self._held])
        return each

    async def _looked_at(self, found: Found) -> Held:
        """A source as it is now. Whatever is wrong with it is in the answer."""
        origin = found.origin
        if found.wrong:
            log.get(source=origin.name).warning("source_failed", error=found.wrong, path=origin.path)
            return Held(origin=origin, state=FAILED, message=found.wrong, unsafe=found.unsafe)
        if origin.name in self._unloaded and origin.kind in PLUGIN_KINDS:
            return Held(origin=origin, state=UNLOADED)
        self._last_generation += 1
        generation = self._last_generation
        try:
            described = await self._described(origin, generation)
        except InspectionError as error:
            return self._failed(origin, str(error))
        entries, wrong = entries_of(origin, generation, described.functions)
        log.get(source=origin.name).info("source_loaded", functions=len(entries), generation=generation)
        return Held(
            origin=origin,
            state=LOADED,
            message=complaints.summed_up([*described.failed, *wrong]),
            generation=generation,
            loaded_at_us=self._clock.now_us(),
            functions=tuple(described.functions),
            entries=tuple(entries),
        )

    async def _described(self, origin: Origin, generation: int) -> Description:
        described = await self._inspector.describe(origin, generation)
        if described.failed and not described.functions:
            raise InspectionError(complaints.summed_up(described.failed))
        return described

    def _failed(self, origin: Origin, why: str) -> Held:
        """What is left of a source whose newest code cannot be loaded: what it was, if it was loaded."""
        log.get(source=origin.name).warning("source_failed", error=why, path=origin.path)
        former = self._held.get((origin.name, origin.path))
        if former is not None and former.state == LOADED and former.origin == origin:
            return replace(former, message=f"{complaints.STAYS} could not be loaded: {why}")
        return Held(origin=origin, state=FAILED, message=why)

    def _arrange(self, order: list[Key], held: Mapping[Key, Held]) -> None:
        self._publish({key: held[key] for key in order if key in held})

    def _publish(self, held: dict[Key, Held]) -> None:
        self._held = held
        self._index = index_of(held.values())
        self._ring()
        for callback in self._callbacks:
            callback()

    def _ring(self) -> None:
        """Wake whoever waits for a change."""
        self._changed.set()
        self._changed = asyncio.Event()

    async def _remember(self) -> None:
        kept = Kept(
            last_generation=self._last_generation,
            unloaded=frozenset(self._unloaded),
            sources=tuple(to_keep(each) for each in self._held.values() if each.state == LOADED),
        )
        try:
            await asyncio.to_thread(remembered.write, self._state_dir, kept)
        except OSError as error:
            log.get().warning("functions_not_kept", error=str(error))

    async def _work(self, change: Callable[[], Awaitable[T]]) -> T:
        """Make one change at a time, to its end, also when whoever asked for it leaves. Raises its Refusal."""
        look = asyncio.ensure_future(self._alone(change))
        self._looks.add(look)
        look.add_done_callback(self._looks.discard)
        try:
            return await asyncio.shield(look)
        except asyncio.CancelledError:
            if not self._closed:
                raise
            raise Refusal(RefusalReason.DRAINING, "the service is stopping", "ask again afterwards") from None

    async def _alone(self, change: Callable[[], Awaitable[T]]) -> T:
        async with self._changing:
            if self._closed:
                raise asyncio.CancelledError
            return await change()

    # What is said.

    def _source_of(self, name: str) -> Held | None:
        """The source that would have a function of this name: SOURCE::FUNCTION, or MODULE.FUNCTION."""
        for held in self._held.values():
            if any(name.startswith(f"{module}.") for module in held.origin.modules):
                return held
        return self._named(name.partition("::")[0])

    def _named(self, name: str) -> Held | None:
        return next((held for held in self._held.values() if held.origin.name == name), None)

    def _message(self, held: Held) -> str:
        taken = complaints.summed_up(self._index.taken.get(held.key, ()))
        return "; ".join(filter(None, (held.message, taken)))


async def _all_or_cancelled(works: Iterable[Any]) -> None:
    """Do all of them; when one is given up, so are the others."""
    async with asyncio.TaskGroup() as group:
        for work in works:
            group.create_task(work)
