"""Where functions come from: loads what a source names, in the function's own interpreter.

Only the standard library. A process loads one source, once: other code of the same name is another process.
"""

from __future__ import annotations

import os
import sys
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from ..client.registry import Task
from .found import Failure, Found, Function, NativeError, SourceError
from .imports import entry_point, imported, listed, plugin, tasks_of

__all__ = ["Failure", "Found", "Function", "NativeError", "SourceError", "load", "look"]

Source = Mapping[str, Any]
"""name, generation, kind, python, path, modules: as link.Source has them."""
AnyTask = Task[..., Any]


class Functions(dict[str, Function]):
    """What can be called, by name and by alias."""

    problem: str = ""
    """What is not to be had of the source, in one line; empty: nothing."""


def load(source: Source) -> Functions:
    """What can be called. Raises SourceError when there is nothing."""
    found = look(source)
    problem = "; ".join(f"{failure.object}: {failure.message}" for failure in found.failed)
    if not found.functions:
        raise SourceError(problem)
    functions = Functions({each.alias: each for each in found.functions.values() if each.alias})
    functions.update(found.functions)
    functions.problem = problem
    return functions


def look(source: Source) -> Found:
    """All that the source has, and all that is not to be had of it. What is wrong with a source raises nothing."""
    found = Found()
    with found.noting(source["name"]):
        _KINDS[source["kind"]](source, found)
        if not found.functions and not found.failed:
            raise SourceError("there are no functions in it: mark them with @task")
    return found


def _builtin(_: Source, found: Found) -> None:
    from . import provided  # noqa: PLC0415 - the others do without

    for task in tasks_of(provided):
        found.add(_function(task, task.name))


def _functions(source: Source, found: Found) -> None:
    """Modules that the configuration names."""
    path = source["path"]
    if path and not os.path.isdir(path):
        raise SourceError(f"there is no folder {path}")
    if path:
        sys.path.insert(0, path)
    _add_named(source, imported(found, source["modules"]), found)


def _entry_points(source: Source, found: Found) -> None:
    """What installed distributions offer."""
    tasks: dict[int, AnyTask] = {}
    for word in source["modules"]:
        with found.noting(word):
            tasks |= {id(task): task for task in entry_point(word)}
    _add_named(source, tasks.values(), found)


def _python(source: Source, found: Found) -> None:
    """A plugin in Python: what it marks with @task, and what it lists. Its tasks learn the names they go by."""
    module = plugin(source["path"])
    named = {(task.given_name or task.function.__qualname__, id(task.function)): task for task in tasks_of(module)}
    named |= {(name, id(task.function)): task for name, task in listed(module, found)}
    for (name, _), task in named.items():
        task.name = f"{source['name']}::{name}"
        found.add(_function(task, task.name))


def _native(source: Source, found: Found) -> None:
    from .native import functions  # noqa: PLC0415 - loads ctypes

    for function in functions(source["name"], source["path"]):
        found.add(function)


_KINDS: dict[str, Callable[[Source, Found], None]] = {
    "builtin": _builtin,
    "functions": _functions,
    "entry_points": _entry_points,
    "python": _python,
    "native": _native,
}


def _add_named(source: Source, tasks: Iterable[AnyTask], found: Found) -> None:
    """Tasks under their own names. SOURCE::QUALNAME means one of them too, where it is the only one called so."""
    short = {task.name: _short(task) for task in tasks}
    often = Counter(short.values())
    for task in tasks:
        word = short[task.name]
        found.add(_function(task, task.name, f"{source['name']}::{word}" if word and often[word] == 1 else ""))


def _short(task: AnyTask) -> str:
    """Its qualname, or the name it was given where that is none, as of a lambda."""
    word: str = task.function.__qualname__
    return (task.given_name or "") if "<" in word else word


def _function(task: AnyTask, name: str, alias: str = "") -> Function:
    return Function(name, alias, task.is_async, False, _caller(task.function), task)


def _caller(function: Callable[..., Any]) -> Callable[[list[Any], dict[str, Any]], Any]:
    return lambda args, kwargs: function(*args, **kwargs)
