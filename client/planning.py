"""Tasks of one request that need each other: calls become specs, promises of results become dependencies. Pure.

An argument may be a promise: a handle of a task that was submitted, or a call that shall be part of the same request.
The task then waits for it, and is given its result. Tasks of the same request name each other by their place there.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Generic, TypeVar

from ..proto import api_pb2 as api
from ..proto import call_pb2 as wire
from ..proto.anys import to_any
from ..proto.errors import Refusal, RefusalReason
from ..proto.plain import NotPlainError, plain
from ..proto.values import Condition
from . import options as say
from .options import CallOptions

R_co = TypeVar("R_co", covariant=True)

Shape = api.TaskRef | list["Shape"]
"""Whose results count: those of one task, or a list of what each of several comes to."""


class Promise(Generic[R_co]):
    """What stands for a result that is still to come; may be an argument of a call."""

    __slots__ = ()

    def into(self, plan: Plan) -> Shape:
        """Take part in a request: add what is not submitted yet, and say whose results count."""
        raise NotImplementedError


class Plan:
    """The tasks of one request, in their order there; a task comes after those of the request that it waits for."""

    def __init__(self) -> None:
        self.specs: list[api.TaskSpec] = []

    def call(
        self,
        function: str,
        args: Iterable[Any],
        kwargs: Mapping[str, Any],
        options: CallOptions,
        *,
        behind: Shape | None = None,
    ) -> api.TaskRef:
        """Add a call; it also waits for what it is behind. Raises Refusal BAD_ARGUMENTS, ValueError for options."""
        spec = say.described(options)
        needs = self._needs(options, behind)
        spec.call.function = function
        spec.call.args.extend(self._argument(needs, each, f"argument {place + 1}") for place, each in enumerate(args))
        for name, each in kwargs.items():
            spec.call.kwargs[name].CopyFrom(self._argument(needs, each, f"argument {name!r}"))
        return self._add(spec, needs)

    def command(self, spec: api.TaskSpec, options: CallOptions) -> api.TaskRef:
        """Add a command."""
        spec.MergeFrom(say.described(options))
        return self._add(spec, self._needs(options, None))

    def join(self, other: Plan) -> None:
        """Add all tasks of another plan behind those of this one. The other one is used up."""
        begin = len(self.specs)
        for spec in other.specs if begin else ():
            for each in spec.after:
                if each.task.WhichOneof("task") == "index":
                    each.task.index += begin
        self.specs.extend(other.specs)

    def _add(self, spec: api.TaskSpec, needs: _Needs) -> api.TaskRef:
        spec.after.extend(needs.written())
        self.specs.append(spec)
        return api.TaskRef(index=len(self.specs) - 1)

    def _needs(self, options: CallOptions, behind: Shape | None) -> _Needs:
        needs = _Needs()
        for named, condition in say.parents(options):
            for reference in flat(self._named(named)):
                needs.place(reference, condition)
        for reference in flat(behind) if behind is not None else ():
            needs.place(reference)
        return needs

    def _named(self, named: str | Promise[Any]) -> Shape:
        if isinstance(named, str):
            return api.TaskRef(id=named)
        if isinstance(named, Promise):
            return named.into(self)
        raise TypeError(f"a task can be after a handle, an id or a part of a workflow, not {named!r}")

    def _argument(self, needs: _Needs, value: Any, where: str) -> wire.Argument:
        if isinstance(value, (list, tuple)) and any(isinstance(each, Promise) for each in value):
            value = _Several(value, where)
        if isinstance(value, Promise):
            return given(needs, value.into(self), where)
        try:
            return wire.Argument(value=to_any(plain(value)))
        except NotPlainError as error:
            hint = "send None, bool, int, float, str, bytes, and lists and dicts of such"
            raise Refusal(RefusalReason.BAD_ARGUMENTS, f"{where}: {error}", hint) from None


class Given(Promise[Any]):
    """What a part of a workflow is given by the one before it: that is in the plan already."""

    __slots__ = ("_shape",)

    def __init__(self, shape: Shape) -> None:
        self._shape = shape

    def into(self, plan: Plan) -> Shape:
        """Whose results it is."""
        return self._shape


class _Several(Promise[Any]):
    """A list of promises, given as an argument. Raises Refusal BAD_ARGUMENTS when not all of it are such."""

    __slots__ = ("_each",)

    def __init__(self, each: Sequence[Promise[Any]], where: str) -> None:
        if not all(isinstance(one, Promise) for one in each):
            hint = "make it a list of handles and calls only, or give them as arguments of their own"
            raise Refusal(RefusalReason.BAD_ARGUMENTS, f"{where}: a list of results and of other values", hint)
        self._each = each

    def into(self, plan: Plan) -> Shape:
        """One after the other."""
        return [one.into(plan) for one in self._each]


class _Needs:
    """What one task waits for; each once, in the order in which it was named."""

    def __init__(self) -> None:
        self._after: dict[tuple[str | None, Any], api.Dependency] = {}
        self._places: dict[tuple[str | None, Any], int] = {}

    def place(self, reference: api.TaskRef, condition: str = Condition.OK) -> int:
        """The place of a task among them. How it was first said to have to end holds."""
        which = reference.WhichOneof("task")
        key = which, reference.index if which == "index" else reference.id
        self._after.setdefault(key, api.Dependency(task=reference, condition=condition))
        return self._places.setdefault(key, len(self._places))

    def written(self) -> Iterable[api.Dependency]:
        """As the wire has them."""
        return self._after.values()


def given(needs: _Needs, shape: Shape, where: str) -> wire.Argument:
    """An argument that is the result of others. Raises Refusal BAD_ARGUMENTS for lists within lists."""
    if isinstance(shape, api.TaskRef):
        return wire.Argument(result_of=needs.place(shape))
    if any(isinstance(each, list) for each in shape):
        hint = "let a function gather each of the inner groups: chord(group, gather)"
        raise Refusal(RefusalReason.BAD_ARGUMENTS, f"{where}: a group's result cannot be part of a list", hint)
    return wire.Argument(results_of=wire.Results(after=[needs.place(each) for each in flat(shape)]))


def flat(shape: Shape) -> Iterator[api.TaskRef]:
    """The tasks that are in it, one after the other."""
    if isinstance(shape, api.TaskRef):
        yield shape
        return
    for each in shape:
        yield from flat(each)
