"""One task of a workflow file: what it runs, with which arguments, after which others. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from ..proto import anys, checks, plain
from ..proto import api_pb2 as api
from ..proto.call_pb2 import Argument
from ..proto.values import Condition
from . import lines, parser
from . import workflow_keys as keys
from .workflow_keys import Mistakes, Where, Wrong

ITEM, INDEX = "{item}", "{index}"
RESULT_OF = "result_of"
BY_ID = "id:"


class Item(NamedTuple):
    """An element of an array."""

    place: int
    value: Any

    @property
    def text(self) -> str:
        """As it stands in a command."""
        return str(self.value)


Key = int | str
"""A task that is waited for: the number of another of this file, or the id of one that is there already."""


class Parent(NamedTuple):
    """How a task is waited for, and its place among those that are."""

    place: int
    condition: Condition


@dataclass(slots=True)
class Table:
    """A table of the file: one task, or an array of them."""

    name: str
    values: dict[str, Any]
    items: list[Item | None]
    fields: dict[str, Any]
    first: int = 0
    """The number of its first task."""

    @property
    def where(self) -> Where:
        """Where it stands."""
        return ("tasks", self.name)


@dataclass(slots=True)
class Task:
    """A task that is to be submitted."""

    name: str
    spec: api.TaskSpec
    parents: dict[Key, Parent] = field(default_factory=dict)


def task_of(table: Table, item: Item | None, tables: dict[str, Table], mistakes: Mistakes) -> Task:
    """The task of a table, or the one that it stands for with this element."""
    values, where = table.values, table.where
    name = table.name if item is None else f"{table.name}.{item.place}"
    task = Task(name, api.TaskSpec(name=name, **table.fields))
    if item is not None and "function" not in values:
        task.spec.env[lines.ITEM] = item.text
    with mistakes.at(*where, "name"):
        task.spec.name = checks.check_name(_filled(keys.text(values.get("name", name)), item))
    if "id" in values:
        with mistakes.at(*where, "id"):
            task.spec.id = checks.check_id(keys.text(values["id"]))
    with mistakes.at(*where, "after"):
        for each in keys.texts(values.get("after", [])):
            with mistakes.at(*where, "after"):
                _wait_for(task, *_named(_filled(each, item), tables))
    _set_work(task, table, item, tables, mistakes)
    for key, parent in task.parents.items():
        named = api.TaskRef(id=key) if isinstance(key, str) else api.TaskRef(index=key)
        task.spec.after.add(task=named, condition=parent.condition)
    return task


def _wait_for(task: Task, named: Sequence[Key], condition: Condition) -> None:
    """Add what it does not wait for yet. Raises Wrong for one task under two conditions."""
    for key in named:
        known = task.parents.setdefault(key, Parent(len(task.parents), condition))
        if known.condition != condition:
            raise Wrong("names the same task twice, under two conditions; :any stands for both ends")


def _named(text: str, tables: dict[str, Table]) -> tuple[list[Key], Condition]:
    """What `NAME`, `NAME.3`, `NAME:fail` or `id:7:any` mean. Raises Wrong, or Refusal BAD_ID."""
    head, colon, word = text.rpartition(":")
    condition = Condition.OK
    if colon and head != "id" and word in tuple(Condition):
        text, condition = head, Condition(word)
    if text.startswith(BY_ID):
        return [checks.check_reference(text.removeprefix(BY_ID))], condition
    return list(_numbers(text, tables)), condition


def _numbers(text: str, tables: dict[str, Table]) -> list[int]:
    """The tasks of this file that a name stands for. Raises Wrong."""
    name, dot, place = text.partition(".")
    table = tables.get(name)
    if table is None:
        near = parser.nearest(text, tables)
        hint = f"is {near} meant?" if near else "a task that is there already is named id:ID"
        raise Wrong(f"names {checks.quoted(text)}, which is no task of this file; {hint}")
    everything = range(table.first, table.first + len(table.items))
    if not dot:
        return list(everything)
    if table.items == [None] or not place.isdecimal() or not place.isascii() or int(place[:9]) >= len(everything):
        raise Wrong(f"names {checks.quoted(text)}, which {name} does not have")
    return [everything[int(place[:9])]]


def _set_work(task: Task, table: Table, item: Item | None, tables: dict[str, Table], mistakes: Mistakes) -> None:
    """Put in what is run or called."""
    values, where = table.values, table.where
    if ("command" in values) == ("function" in values):
        mistakes.add(where, "must have a command or a function, one of them")
        return
    if "command" in values:
        for key in (each for each in ("args", "kwargs") if each in values):
            mistakes.add((*where, key), "is for functions")
        with mistakes.at(*where, "command"):
            task.spec.command.CopyFrom(_command(values["command"], item))
        return
    with mistakes.at(*where, "function"):
        task.spec.call.function = keys.text(values["function"]) or _nothing()
    _set_arguments(task, table, item, tables, mistakes)


def _nothing() -> str:
    raise Wrong("must not be empty")


def _command(value: Any, item: Item | None) -> api.Command:
    if isinstance(value, str):
        line = value
        if item is not None:
            lines.check_shell(value, ITEM)
            line = lines.shell(value.replace(INDEX, str(item.place)), item.text, ITEM)
        checks.check_command(line, None)
        return api.Command(shell=line)
    if not isinstance(value, list) or not all(isinstance(each, str) for each in value):
        raise Wrong("must be a line for the shell, or a list of words")
    words = [_filled(each, item) for each in value]
    checks.check_command(None, words)
    return api.Command(argv=api.Argv(args=words))


def _filled(text: str, item: Item | None) -> str:
    """The text with the element and its place put in."""
    if item is None or "{" not in text:
        return text
    return item.text.join(part.replace(INDEX, str(item.place)) for part in text.split(ITEM))


def _set_arguments(task: Task, table: Table, item: Item | None, tables: dict[str, Table], mistakes: Mistakes) -> None:
    call, values, where = task.spec.call, table.values, table.where
    with mistakes.at(*where, "args"):
        given = values.get("args", [])
        if not isinstance(given, list):
            raise Wrong("must be a list")
        for each in given:
            with mistakes.at(*where, "args"):
                call.args.append(_argument(each, task, item, tables))
    with mistakes.at(*where, "kwargs"):
        for name, each in keys.table(values.get("kwargs", {})).items():
            with mistakes.at(*where, "kwargs"):
                call.kwargs[name].CopyFrom(_argument(each, task, item, tables))


def _argument(value: Any, task: Task, item: Item | None, tables: dict[str, Table]) -> Argument:
    """A value, or the result of another task, which it then waits for. Raises Wrong."""
    if isinstance(value, dict) and set(value) == {RESULT_OF}:
        return _result_of(_filled(keys.text(value[RESULT_OF]), item), task, tables)
    try:
        return Argument(value=anys.to_any(plain.from_json(_put_in(value, item))))
    except plain.NotPlainError as error:
        raise Wrong(f"cannot be sent: {error}") from None


def _result_of(text: str, task: Task, tables: dict[str, Table]) -> Argument:
    """What a task returned; a list where the name stands for an array."""
    named, condition = _named(text, tables)
    _wait_for(task, [each for each in named if each not in task.parents], condition)
    places = [task.parents[each].place for each in named]
    if text.startswith(BY_ID) or "." in text or tables[text.partition(":")[0]].items == [None]:
        return Argument(result_of=places[0])
    argument = Argument()
    argument.results_of.after.extend(places)
    return argument


def _put_in(value: Any, item: Item | None) -> Any:
    """The value with the element put in wherever it is asked for. Raises Wrong for a result inside of something."""
    if isinstance(value, str):
        alone = {ITEM: item.value, INDEX: item.place} if item is not None else {}
        return alone[value] if value in alone else _filled(value, item)
    if isinstance(value, list):
        return [_put_in(each, item) for each in value]
    if isinstance(value, dict):
        if set(value) == {RESULT_OF}:
            raise Wrong(f"has a {RESULT_OF} inside of a value; it can be a whole argument only")
        return {key: _put_in(each, item) for key, each in value.items()}
    return value
