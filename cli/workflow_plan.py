"""From a workflow file to what is submitted: every task with what it waits for, or all that is wrong with the file.

A task is a table [tasks.NAME]; with `array` it stands for many, NAME.0, NAME.1 and so on, and whoever names NAME means
all of them. {item} and {index} stand for the element and its place: quoted in a line for the shell, as they are
anywhere else, and an argument that is "{item}" and nothing else is the element itself.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from ..proto import checks
from . import workflow_keys as keys
from .workflow_keys import Mistakes, Where
from .workflow_task import Item, Key, Table, Task, task_of


def plan(values: dict[str, Any], mistakes: Mistakes) -> list[Task]:
    """All tasks of a file, in its order."""
    keys.unknown(values, ("defaults", "tasks"), (), mistakes)
    defaults = _defaults(values.get("defaults", {}), mistakes)
    tables = {each.name: each for each in _tables(values.get("tasks"), defaults, mistakes)}
    count = sum(len(each.items) for each in tables.values())
    if count > checks.TASKS_LIMIT:
        mistakes.add(("tasks",), f"are {count}, at most {checks.TASKS_LIMIT} can be submitted at once")
        return []
    tasks = list(_all(tables, mistakes))
    if not mistakes.found and (cycle := find_cycle([each.parents for each in tasks])):
        mistakes.add(("tasks", _table_of(tasks[cycle[0]].name), "after"), f"runs in a circle: {_chain(tasks, cycle)}")
    return tasks


def _all(tables: dict[str, Table], mistakes: Mistakes) -> Iterator[Task]:
    waited_for = 0
    for table in tables.values():
        for task in _expanded(table, tables, mistakes):
            yield task
            waited_for += len(task.parents)
            if waited_for > checks.DEPENDENCIES_LIMIT:
                what = f"would wait for more than {checks.DEPENDENCIES_LIMIT} tasks, with all before it"
                mistakes.add((*table.where, "after"), f"{what}; put a task between that waits for many")
                return


def _table_of(name: str) -> str:
    return name.partition(".")[0]


def _chain(tasks: Sequence[Task], cycle: Sequence[int]) -> str:
    return " -> ".join(tasks[each].name for each in [*cycle, cycle[0]])


def _defaults(values: Any, mistakes: Mistakes) -> dict[str, Any]:
    with mistakes.at("defaults"):
        keys.unknown(keys.table(values), keys.COMMON, ("defaults",), mistakes)
        return keys.fields(values, ("defaults",), mistakes)
    return {}


def _tables(values: Any, defaults: dict[str, Any], mistakes: Mistakes) -> Iterator[Table]:
    if not isinstance(values, dict) or not values:
        mistakes.add(("tasks",), "must be tables: [tasks.NAME]")
        return
    count = 0
    for name, content in values.items():
        with mistakes.at("tasks", name):
            table = _table(name, keys.table(content), defaults, mistakes)
            table.first = count
            count += len(table.items)
            yield table


def _table(name: str, values: dict[str, Any], defaults: dict[str, Any], mistakes: Mistakes) -> Table:
    where = ("tasks", name)
    if not keys.NAME.fullmatch(name) or name == "id":
        mistakes.add(where, "is no name for a task: letters, digits, _ and - only, and not `id`")
    keys.unknown(values, (*keys.ONE, *keys.COMMON), where, mistakes)
    own = keys.fields(values, where, mistakes)
    if set(own) & {"due_at_us", "delay_us"}:
        defaults = {name: each for name, each in defaults.items() if name not in ("due_at_us", "delay_us")}
    fields = defaults | own
    fields["env"] = defaults.get("env", {}) | own.get("env", {})
    if "function" in values:
        for key in (each for each in keys.COMMAND_ONLY if each in values):
            mistakes.add((*where, key), "is for commands")
        fields = {name: each for name, each in fields.items() if name not in keys.COMMAND_ONLY}
    return Table(name, values, _items(values, where, mistakes), fields)


def _items(values: dict[str, Any], where: Where, mistakes: Mistakes) -> list[Item | None]:
    """The elements of an array; None stands for a task alone."""
    if "array" not in values:
        return [None]
    array = values["array"]
    if isinstance(array, int) and not isinstance(array, bool) and 1 <= array <= checks.TASKS_LIMIT:
        array = list(range(array))
    if not isinstance(array, list) or not 1 <= len(array) <= checks.TASKS_LIMIT:
        mistakes.add((*where, "array"), f"must be a number from 1 to {checks.TASKS_LIMIT}, or a list of as many")
        return [None]
    if "function" not in values and not all(type(each) in (str, int, float) for each in array):
        mistakes.add((*where, "array"), "must hold strings or numbers")
    if "id" in values:
        mistakes.add((*where, "id"), "is for one task, an array has many")
    return [Item(place, value) for place, value in enumerate(array)]


def _expanded(table: Table, tables: dict[str, Table], mistakes: Mistakes) -> Iterator[Task]:
    """The tasks of a table. What is wrong with the first of them is not told of the others."""
    for item in table.items:
        before = len(mistakes.found)
        yield task_of(table, item, tables, mistakes)
        if len(mistakes.found) > before:
            return


def find_cycle(parents: Sequence[Iterable[Key]]) -> list[int] | None:
    """Tasks of which each waits for the next, and the last for the first; None where there are none such.

    Without recursion, and each task and each dependency looked at once.
    """
    done: set[int] = set()
    for start in range(len(parents)):
        path: dict[int, Iterator[int]] = {}
        if start not in done:
            path[start] = _own(parents[start])
        while path:
            task, left = next(reversed(path.items()))
            step = next((each for each in left if each not in done), None)
            if step is None:
                done.add(task)
                del path[task]
            elif step in path:
                way = list(path)
                return way[way.index(step) :]
            else:
                path[step] = _own(parents[step])
    return None


def _own(parents: Iterable[Key]) -> Iterator[int]:
    """Those of this file."""
    return iter([each for each in parents if isinstance(each, int)])
