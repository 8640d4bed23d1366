"""Tasks that hang together, as a tree of lines and in the language of Graphviz. Pure.

A task has one line. It stands below the last of its parents, so that whatever it comes after stands above it; a task
whose parent has no other children stands straight below that, so that a chain of any length is one column.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from ..proto.values import Condition
from . import escape
from .views import condition

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from ..proto import api_pb2 as api

DEEPEST = 20
"""Branches inside each other that are still drawn as such."""
PARENTS_SHOWN = 5
BRANCH, LAST, PASSING, NOTHING = "|- ", "`- ", "|  ", "   "


class _Place(NamedTuple):
    """Where a task's line stands."""

    id: str
    before: str
    """What is drawn before its own line."""
    below: str
    """What is drawn before the lines of its children."""


def text(graph: api.GraphResponse, *, columns: int | None = None, paint: Callable[[str], str] = str) -> str:
    """A line for each task; with `columns`, none is wider."""
    nodes = {node.id: node for node in graph.nodes}
    parents = _parents(graph)
    children: dict[str, list[str]] = {each: [] for each in nodes}
    for each in nodes:
        if parents[each]:
            children[parents[each][-1].parent].append(each)
    lines: list[str] = []
    alone = True
    for root in (each for each in nodes if not parents[each]):
        if lines and not (alone and not children[root]):
            lines.append("")
        alone = not children[root]
        lines += [_line(nodes[at.id], at.before, parents[at.id], columns, paint) for at in _walk(root, children)]
    return "\n".join(lines)


def _parents(graph: api.GraphResponse) -> dict[str, list[api.Edge]]:
    """Of each task what it comes after, in the order in which that stands in the graph."""
    order = {node.id: place for place, node in enumerate(graph.nodes)}
    edges: dict[str, list[api.Edge]] = {node.id: [] for node in graph.nodes}
    for edge in graph.edges:
        if edge.parent in order and edge.child in order:  # of a graph that was cut off, perhaps not
            edges[edge.child].append(edge)
    return {id: sorted(each, key=lambda edge: order[edge.parent]) for id, each in edges.items()}  # noqa: A001


def _walk(root: str, children: dict[str, list[str]]) -> Iterator[_Place]:
    """All below a task in the order of their lines. Without recursion: chains are long."""
    waiting = [_Place(root, "", "")]
    while waiting:
        place = waiting.pop()
        yield place
        waiting += reversed(_places(place, children[place.id]))


def _places(above: _Place, ids: Sequence[str]) -> list[_Place]:
    if len(ids) == 1 or len(above.below) >= DEEPEST * len(BRANCH):
        return [_Place(id, above.below, above.below) for id in ids]  # noqa: A001
    placed = [_Place(id, above.below + BRANCH, above.below + PASSING) for id in ids[:-1]]  # noqa: A001
    return placed + [_Place(id, above.below + LAST, above.below + NOTHING) for id in ids[-1:]]  # noqa: A001


def _line(
    node: api.Node, before: str, parents: Sequence[api.Edge], columns: int | None, paint: Callable[[str], str]
) -> str:
    begin = f"{before}{node.id}  "
    rest = "  ".join(filter(None, [escape.line(node.label), _after(parents)]))
    if columns is not None:
        rest = escape.fit(rest, max(1, columns - len(begin) - len(node.state) - 2))
    return f"{begin}{paint(node.state)}  {rest}".rstrip()


def _after(parents: Sequence[api.Edge]) -> str:
    """What it comes after, where its place does not say it."""
    if len(parents) < 2 and all(each.condition == Condition.OK for each in parents):  # noqa: PLR2004 - just the one
        return ""
    named = [condition(each.parent, each.condition) for each in parents[:PARENTS_SHOWN]]
    more = len(parents) - len(named)
    return f"(after {', '.join(named + [f'{more} more'] * (more > 0))})"


def dot(graph: api.GraphResponse) -> str:
    """For Graphviz: what has come true is drawn solid, what has not dashed; conditions other than ok are named."""
    lines = ["digraph tsched {", "  rankdir=LR;", "  node [shape=box];"]
    lines += [f"  {_quoted(each.id)} [label={_quoted(each.id, each.label, each.state)}];" for each in graph.nodes]
    lines += [f"  {_quoted(each.parent)} -> {_quoted(each.child)} [{_style(each)}];" for each in graph.edges]
    return "\n".join([*lines, "}"])


def _style(edge: api.Edge) -> str:
    label = "" if edge.condition == Condition.OK else f", label={_quoted(edge.condition)}"
    return f"style={'solid' if edge.met else 'dashed'}{label}"


def _quoted(*lines: str) -> str:
    """A string of DOT; its backslashes would begin an escape."""
    safe = [escape.line(line).replace("\\", "\\\\").replace('"', '\\"') for line in lines if line]
    return '"' + "\\n".join(safe) + '"'
