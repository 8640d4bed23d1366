"""What happens to tasks, followed although the supervisor may be killed and started again meanwhile.

Events are numbered by cursors that only grow, so a broken stream goes on behind the last one that was seen.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from ..proto import api_pb2 as api
from ..proto.errors import Refusal
from .connection import Connection
from .errors import broken
from .following import PATIENCE_S, tell


def follow_events(
    client: Connection, request: api.EventsRequest, *, on_break: Callable[[str], None]
) -> Iterator[api.EventBatch]:
    """Events as asked for; with `follow`, also over a restart of the supervisor, none lost and none twice."""
    rest = api.EventsRequest()
    rest.CopyFrom(request)
    while True:
        try:
            for batch in client.events(rest):
                go_on_behind(rest, batch)
                yield batch
        except Refusal as refusal:
            if not (broken(refusal) and request.follow):
                raise
            tell(client, on_break)
            client.await_ready(PATIENCE_S)
        else:
            return


def go_on_behind(rest: api.EventsRequest, batch: api.EventBatch) -> None:
    """Let a request ask for what comes after this."""
    rest.after = max([rest.after, batch.cursor, *(event.cursor for event in batch.events)])
    rest.only_new = False
