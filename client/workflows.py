"""Workflows: calls bound by `.s()`, one after the other (`chain`), beside each other (`group`), gathered (`chord`).

What comes before gives its result as the first argument of what comes after, a group the list of its results; `.si()`
waits, and takes nothing. A workflow is stored in one request, all of it or nothing. What needs a part that failed is
skipped.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, TypeVar, cast, overload

from .options import CallOptions
from .planning import Given, Plan, Promise, Shape

if TYPE_CHECKING:
    from .workflow_handles import AsyncWorkflow, Workflow

R = TypeVar("R")
R_co = TypeVar("R_co", covariant=True)


class Node(Promise[R_co]):
    """A part of a workflow, or all of it; R is what it comes to. Nothing happens before it is submitted."""

    __slots__ = ()

    def grow(self, plan: Plan, fed: Shape | None) -> Shape:
        """Add its calls to a request, the first ones fed with what comes before; whose results it comes to."""
        raise NotImplementedError

    def into(self, plan: Plan) -> Shape:
        """Take part in a request as an argument: nothing comes before it."""
        return self.grow(plan, None)

    def delay(self) -> Workflow[R_co]:
        """Submit it all; durable when this returns. Raises TschedError."""
        from .default import default_client  # noqa: PLC0415 - binding alone needs no connection

        return default_client().start(self)

    async def adelay(self) -> AsyncWorkflow[R_co]:
        """`delay` for async code."""
        from .default import default_async_client  # noqa: PLC0415

        return await default_async_client().start(self)


class Signature(Node[R_co]):
    """A call with some of its arguments."""

    __slots__ = ("args", "function", "kwargs", "options", "takes")

    def __init__(
        self,
        function: str,
        args: tuple[Any, ...],
        kwargs: Mapping[str, Any],
        options: CallOptions,
        *,
        takes: bool = True,
    ) -> None:
        self.function = function
        self.args = args
        self.kwargs = kwargs
        self.options = options
        self.takes = takes
        """Whether it is given what comes before it."""

    def __repr__(self) -> str:
        words = [*map(repr, self.args), *(f"{name}={value!r}" for name, value in self.kwargs.items())]
        return f"<call of {self.function}({', '.join(words)})>"

    def grow(self, plan: Plan, fed: Shape | None) -> Shape:
        """One task."""
        if fed is None:
            return plan.call(self.function, self.args, self.kwargs, self.options)
        first = (Given(fed),) if self.takes else ()
        return plan.call(self.function, (*first, *self.args), self.kwargs, self.options, behind=fed)


class Chain(Node[R_co]):
    """One after the other."""

    __slots__ = ("parts",)

    def __init__(self, parts: Iterable[Node[Any]]) -> None:
        """Raises TypeError for what is no part of a workflow, ValueError when there is none."""
        self.parts = _nodes(parts)
        if not self.parts:
            raise ValueError("a chain of nothing comes to nothing: give it a call")

    def grow(self, plan: Plan, fed: Shape | None) -> Shape:
        """Each part fed with the one before; the result is the last one's."""
        for part in self.parts:
            fed = part.grow(plan, fed)
        return cast("Shape", fed)


class Group(Node[list[R_co]]):
    """Beside each other; comes to the list of their results, in their order here."""

    __slots__ = ("parts",)

    def __init__(self, parts: Iterable[Node[R_co]]) -> None:
        """Raises TypeError for what is no part of a workflow."""
        self.parts = _nodes(parts)

    def grow(self, plan: Plan, fed: Shape | None) -> Shape:
        """All parts are fed with the same."""
        return [part.grow(plan, fed) for part in self.parts]


def chain(*parts: *tuple[*tuple[Node[Any], ...], Node[R]]) -> Chain[R]:
    """One after the other: `chain(fetch.s(url), parse.s(), store.s("db"))`; comes to the last one's result."""
    return Chain(parts)


@overload
def group(*parts: Node[R]) -> Group[R]: ...
@overload
def group(parts: Iterable[Node[R]], /) -> Group[R]: ...
def group(*parts: Any) -> Group[Any]:
    """Beside each other: `group(resize.s(i) for i in ids)`; comes to the list of their results."""
    return Group(_listed(parts))


def chord(parts: Group[Any] | Iterable[Node[Any]], callback: Node[R]) -> Chain[R]:
    """Beside each other, then the callback with the list of their results: `chord(group(...), total.s())`."""
    return Chain([parts if isinstance(parts, Group) else Group(parts), callback])


def result_of(promise: Promise[R]) -> R:
    """The promise itself, for type checkers: they see what it will come to. `total.delay(result_of(first), 2)`."""
    return cast("R", promise)


def _listed(parts: tuple[Any, ...]) -> Iterable[Any]:
    only = len(parts) == 1 and not isinstance(parts[0], Node)
    return cast("Iterable[Any]", parts[0]) if only else parts


def _nodes(parts: Iterable[Node[Any]]) -> tuple[Node[Any], ...]:
    nodes = tuple(parts)
    for node in nodes:
        if not isinstance(node, Node):
            raise TypeError(f"a workflow is made of calls bound by .s(), chains and groups, not of {node!r}")
    return nodes
