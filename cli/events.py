"""The verb that tells what happens: events."""

from __future__ import annotations

import os
import select
import stat
import threading
from typing import TYPE_CHECKING

from ..proto import checks
from ..proto.errors import EXIT_OK, Refusal, RefusalReason
from . import connect, console, parser

if TYPE_CHECKING:
    from argparse import Namespace

CURSOR_DIGITS = 18
EXIT_BROKEN_PIPE = 141

NOTES = """One JSON object a line: cursor, at, task, event, state, attempt, reason, queue. Cursors only grow: --after
with the last one that was seen goes on where an earlier call ended. Without -f: all events that are kept; with -f and
without --after: those from now on."""


def _arguments(to: parser.Parser) -> None:
    to.epilog = NOTES
    to.add_argument("-f", "--follow", action="store_true", help="go on until interrupted")
    to.add_argument("--after", metavar="CURSOR", type=_cursor, help="only what came after this one; 0: all kept")
    to.add_argument("--id", dest="ids", metavar="ID", action="append", help="only of this task; may be repeated")


def _cursor(text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) <= CURSOR_DIGITS):
        hint = "use the cursor of an event that was seen, or 0 for all"
        raise Refusal(RefusalReason.BAD_VALUE, f"not a cursor: {checks.quoted(text)}", hint)
    return int(text)


def _events(args: Namespace) -> int:
    ids = list(dict.fromkeys(map(checks.check_reference, args.ids or [])))
    with connect.connect_or_start(args) as client:
        from ..client import as_json
        from ..client.feed import follow_events
        from ..proto import api_pb2 as api

        from_now_on = args.follow and args.after is None
        request = api.EventsRequest(after=args.after or 0, only_new=from_now_on, follow=args.follow, ids=ids)
        _end_with_stdout()
        for batch in follow_events(client, request, on_break=console.supervisor_away):
            for event in batch.events:
                console.put_json(as_json.event(event))
    return EXIT_OK


def _end_with_stdout() -> None:
    """End when nobody reads our pipe any more, even while nothing happens that could be written to it."""
    if stat.S_ISFIFO(os.fstat(1).st_mode):
        threading.Thread(target=_await_hangup, name="hangup", daemon=True).start()


def _await_hangup() -> None:
    poll = select.poll()
    poll.register(1, 0)  # errors are always told
    poll.poll()
    os._exit(EXIT_BROKEN_PIPE)


VERBS = {"events": parser.Verb(arguments=_arguments, run=_events)}
