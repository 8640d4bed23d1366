"""Verbs that look at what waits for what: why, graph."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..proto.clock import SystemClock
from ..proto.errors import EXIT_OK
from . import colour, connect, console, escape, parser, several, tree, when, zones

if TYPE_CHECKING:
    from argparse import Namespace
    from collections.abc import Callable

    from ..proto import api_pb2 as api

GRAPH_NOTES = """A task stands below the tasks it comes after, and says which they are where they are not just the one
above it. --dot is for Graphviz: tsched graph ID --dot | dot -Tsvg > graph.svg"""
CAUSES = 50
"""So many things that a task waits for are told to people."""


def _why_arguments(to: parser.Parser) -> None:
    parser.add_id(to)
    colour.add_flag(to)


def _why(args: Namespace) -> int:
    id = parser.the_id(args)  # noqa: A001 - the word of the contract
    with connect.connect_or_start(args) as client:
        answer = client.why(id)
    if args.json:
        from ..client import as_json

        console.put_json(as_json.causes(answer))
    else:
        console.put(_causes(answer, colour.painter(args)))
    return EXIT_OK


def _causes(answer: api.WhyResponse, paint: Callable[[str], str]) -> str:
    lines = [f"task {answer.task.id}: {paint(answer.task.state)}"]
    lines += [f"  {escape.line(each.message)}{_until(each)}" for each in answer.causes[:CAUSES]]
    if len(answer.causes) > CAUSES:
        lines.append(f"  and for {len(answer.causes) - CAUSES} more (--json has them all)")
    return "\n".join(lines)


def _until(cause: api.Cause) -> str:
    if not cause.HasField("until_us"):
        return ""
    return f" ({when.echo(cause.until_us, now_us=SystemClock().now_us(), zone=zones.local_or_utc())})"


def _graph_arguments(to: parser.Parser) -> None:
    several.add_ids(to)
    to.epilog = GRAPH_NOTES
    to.add_argument("--dot", action="store_true", help="as a graph in the language of Graphviz")
    to.add_argument("--limit", metavar="N", type=parser.count, default=0, help="at most so many tasks; 1000 by default")
    colour.add_flag(to)


def _graph(args: Namespace) -> int:
    with connect.connect_or_start(args) as client:
        answer = client.graph(several.the_ids(args), limit=args.limit)
    if args.json:
        from ..client import as_json

        console.put_json(as_json.graph(answer))
    elif args.dot:
        console.put(tree.dot(answer))
    else:
        console.put(tree.text(answer, columns=console.columns(), paint=colour.painter(args)))
    if answer.truncated and not args.json:
        console.say(f"there are more than these {len(answer.nodes)}; --limit N shows more")
    return EXIT_OK


VERBS = {
    "why": parser.Verb(arguments=_why_arguments, run=_why),
    "graph": parser.Verb(arguments=_graph_arguments, run=_graph),
}
