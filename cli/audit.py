"""The verb that tells who changed what: audit."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..proto.clock import SystemClock
from ..proto.errors import EXIT_OK
from . import connect, console, parser, table, zones

if TYPE_CHECKING:
    from argparse import Namespace
    from collections.abc import Sequence

    from ..proto import api_pb2 as api

SHOWN = 100
PAGE_LIMIT = 10_000
HEAD = ("AT", "WHO", "ROLE", "WHERE", "WHAT", "OBJECT", "OUTCOME")
NOTES = """The newest entry comes last. WHO is uid:UID, a certificate's tsched://client/NAME, tcp, or nobody. WHAT is
submit, modify, delete, cancel, retry, hold, release, pause, resume, load, unload, reload_plugins, shutdown, reload,
rotate_key, or the method that somebody was refused. WHEN is as for list --since. Only admins are told."""


def _arguments(to: parser.Parser) -> None:
    to.epilog = NOTES
    to.add_argument("--since", metavar="WHEN", help="only what was done then or later: 2h, today, monday 8am")
    to.add_argument("--who", metavar="NAME", default="", help="only what this caller did")
    to.add_argument("--what", metavar="VERB", default="", help="only this")
    to.add_argument("-n", "--limit", metavar="N", type=parser.count, default=SHOWN, help="at most so many; 0: all")


def _audit(args: Namespace) -> int:
    since_us = None if args.since is None else _since_us(args.since)
    with connect.connect_or_start(args) as client:
        from ..proto import api_pb2 as api

        request = api.AuditRequest(since_us=since_us, who=args.who, what=args.what)
        found: list[api.AuditEntry] = []
        while not args.limit or len(found) < args.limit:
            request.limit = min(PAGE_LIMIT, args.limit - len(found)) if args.limit else PAGE_LIMIT
            entries = client.audit(request)
            found += entries
            if len(entries) < request.limit:
                break
            request.before = entries[-1].number
    _put(found[::-1], as_json=args.json)
    return EXIT_OK


def _since_us(text: str) -> int:
    from . import when

    return when.resolve_past(text, now_us=SystemClock().now_us(), zone=zones.local())


def _put(entries: Sequence[api.AuditEntry], *, as_json: bool) -> None:
    from ..client import as_json as plain

    if as_json:
        console.put_json([plain.audit(entry) for entry in entries])
    elif entries:
        console.put(table.render(HEAD, [_row(entry) for entry in entries], console.columns()))
    else:
        console.say("nothing was done")


def _row(entry: api.AuditEntry) -> list[str]:
    from ..client.as_json import instant

    at = instant(entry.at_us)
    return [at or "", entry.who, entry.role, entry.where, entry.what, entry.object, entry.outcome]


VERBS = {"audit": parser.Verb(arguments=_arguments, run=_audit)}
