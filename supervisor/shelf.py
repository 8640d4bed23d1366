"""What those share who read output at the same time, so that memory does not grow with their number.

Followers of one task ask for the same chunks. What any of them has in hand is given to the others too, and is let go
with the last of them; a question is asked once for all who ask it at the same time. And the more they are, the smaller
are the pieces that each has on its way.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import partial
from weakref import WeakSet, WeakValueDictionary

from ..proto import link_pb2
from ..proto.errors import Refusal, RefusalReason
from ..store import Store, model, output
from ..store.cipher import CorruptRecord
from ..store.data_keys import Opener
from .output_keys import OutputKeys

CHUNKS_AT_ONCE = 64
UNDERWAY_BYTES = 6 * 1024 * 1024
"""Of all readers together; gRPC holds each piece some four times on its way."""
PIECE_RANGE_BYTES = (16 * 1024, 256 * 1024)


class Rows(list[model.ChunkRow]):
    """Chunks in their order, opened; a list that can be shared for as long as anybody holds it."""

    __slots__ = ("__weakref__",)


class Shelf:
    """Output as its readers have it in hand."""

    def __init__(self, store: Store, keys: OutputKeys) -> None:
        self._store = store
        self._keys = keys
        self._held: WeakValueDictionary[tuple[int, int], Rows] = WeakValueDictionary()
        self._asked: dict[tuple[int, int], asyncio.Future[Rows]] = {}
        self._readers: WeakSet[object] = WeakSet()

    def enter(self, reader: object) -> None:
        """One more reads, for as long as it lives."""
        self._readers.add(reader)

    @property
    def piece_bytes(self) -> int:
        """How long a piece may be, as many as they are now."""
        least, most = PIECE_RANGE_BYTES
        return max(least, min(most, UNDERWAY_BYTES // max(1, len(self._readers))))

    async def rows(self, attempt_id: int, after: int) -> Rows:
        """What is kept behind chunk `after`, some of it; empty only when nothing was there after the call."""
        place = (attempt_id, after)
        if held := self._held.get(place):
            return held
        underway = self._underway(place)
        if underway and (rows := await asyncio.shield(underway)):
            return rows
        # That it came to nothing was true before this call, perhaps; a question that is underway now began after it.
        return await asyncio.shield(self._underway(place) or self._ask(place))

    def _underway(self, place: tuple[int, int]) -> asyncio.Future[Rows] | None:
        asked = self._asked.get(place)
        return None if asked is None or asked.done() else asked

    def _ask(self, place: tuple[int, int]) -> asyncio.Future[Rows]:
        """Shielded by all who wait for it: one who leaves takes nobody's answer away."""
        asked = self._asked[place] = asyncio.ensure_future(self._read(place))
        asked.add_done_callback(partial(self._answered, place))
        return asked

    def _answered(self, place: tuple[int, int], asked: asyncio.Future[Rows]) -> None:
        if self._asked.get(place) is asked:
            del self._asked[place]
        if not asked.cancelled():
            asked.exception()  # those who wait for it hear of it; nobody may be left

    async def _read(self, place: tuple[int, int]) -> Rows:
        attempt_id, after = place
        query = partial(output.read_chunks, attempt_id=attempt_id, after=after, limit=CHUNKS_AT_ONCE)
        asked = asyncio.wrap_future(self._store.read_output(query))
        found, opener = await asyncio.gather(asked, self._keys.opener(attempt_id))
        if opener.key is None and any(row.sealed for row in found):
            opener = await self._keys.opener(attempt_id)  # there is one since
        rows = Rows(_sound(found, opener))
        if rows:
            self._held[place] = rows
        return rows


def opened(chunk: model.ChunkRow | link_pb2.Chunk, opener: Opener) -> bytes:
    """What the task wrote. Raises Refusal STORE_CORRUPT."""
    try:
        return opener.open(chunk)
    except CorruptRecord as why:
        message = f"the stored output is damaged (chunk {chunk.number} of attempt #{chunk.attempt_id}: {why})"
        hint = "what came before it is sound; tsched doctor looks at the rest"
        raise Refusal(RefusalReason.STORE_CORRUPT, message, hint) from None


def _sound(found: Sequence[model.ChunkRow], opener: Opener) -> Iterator[model.ChunkRow]:
    """The chunks in clear, up to the first that is damaged. Raises Refusal STORE_CORRUPT where that is the first."""
    for place, chunk in enumerate(found):
        try:
            yield replace(chunk, data=opened(chunk, opener), sealed=False)
        except Refusal:
            if not place:
                raise
            return
