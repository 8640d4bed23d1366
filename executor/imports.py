"""Imports modules that have functions, and finds these in them. In the function's own interpreter."""

from __future__ import annotations

import importlib
import importlib.machinery
import importlib.util
import os
import sys
from collections.abc import Iterable, Mapping
from types import CodeType, ModuleType
from typing import Any, cast

from ..client.registry import Chosen, Task, registered
from .copies import in_memory
from .found import Found, SourceError

AnyTask = Task[..., Any]
FileLoader = importlib.machinery.SourceFileLoader | importlib.machinery.ExtensionFileLoader

LISTS = ("TASKS", "tasks")
"""Where a plugin may list functions that are not marked with @task: a mapping of names to functions."""
PRIVATE = "tsched_plugins"
"""Prefix of a plugin's module whose own name is another module's, as of math.py."""


class FreshLoader(importlib.machinery.SourceFileLoader):
    """Compiles what is on disk now. A cached .pyc goes by seconds and sizes, and a plugin can change within one."""

    def get_code(self, fullname: str) -> CodeType:
        """The code of the module."""
        return self.source_to_code(self.get_data(self.path), self.path)


def imported(found: Found, names: Iterable[str]) -> list[AnyTask]:
    """Import these modules; the tasks that registered meanwhile, and those that lie in the modules, in this order.

    What belongs to a module that failed is left out: its globals are not what it would have made of them.
    """
    before = set(map(id, registered().values()))
    modules = []
    for name in names:
        with found.noting(name):
            modules.append(importlib.import_module(name))
    came = [task for task in registered().values() if id(task) not in before and _alive(task)]
    return _once(*came, *(task for module in modules for task in _globals_of(module)))


def tasks_of(module: ModuleType) -> list[AnyTask]:
    """The tasks that a module and the modules below it define, and those that lie in the module."""
    own = [task for task in registered().values() if f"{_module_of(task)}.".startswith(f"{module.__name__}.")]
    return _once(*own, *_globals_of(module))


def entry_point(word: str) -> list[AnyTask]:
    """What `name = module:attribute` means: a task, a plain function to be called NAME, or a module's tasks."""
    name, _, target = (part.strip() for part in word.partition("="))
    module, _, attribute = target.partition("[")[0].strip().partition(":")
    value: Any = importlib.import_module(module)
    for part in filter(None, attribute.split(".")):
        value = getattr(value, part)
    return tasks_of(value) if isinstance(value, ModuleType) else [as_task(value, name)]


def listed(module: ModuleType, found: Found) -> list[tuple[str, AnyTask]]:
    """The functions that a plugin lists, under the names it gives them there."""
    pairs = []
    for word in LISTS:
        table = getattr(module, word, None)
        for name, function in table.items() if isinstance(table, Mapping) else ():
            with found.noting(f"{word}[{name!r}]"):
                pairs.append((str(name), as_task(function, str(name))))
    return pairs


def as_task(function: Any, name: str) -> AnyTask:
    """A plain function as a task of that name. Raises SourceError for what cannot be called."""
    if issubclass(type(function), Task):
        return cast("AnyTask", function)
    if not callable(function):
        raise SourceError(f"a {type(function).__name__} is no function")
    try:
        return Task(function, name, Chosen())
    except TypeError as error:
        raise SourceError(str(error)) from None


def plugin(path: str) -> ModuleType:
    """Import a plugin: a module, a package's folder, or a compiled extension module. Raises what its code raises."""
    sys.dont_write_bytecode = True  # the library folder is looked at, not written to
    name, dot, suffix = os.path.basename(path).partition(".")
    name = _free_name(name)
    if os.path.isdir(path):
        init = os.path.join(path, "__init__.py")
        if not os.path.isfile(init):
            raise SourceError(f"{path} is a folder without __init__.py")
        return _loaded(FreshLoader(name, init), init, [path])
    if not os.path.isfile(path):
        raise SourceError(f"{path} is not there")
    if suffix == "py":
        return _loaded(FreshLoader(name, path), path)
    if dot + suffix not in importlib.machinery.EXTENSION_SUFFIXES:
        theirs = ", ".join(importlib.machinery.EXTENSION_SUFFIXES)
        raise SourceError(
            f"{path} is not for this interpreter ({sys.executable}), whose extension modules end in {theirs}"
        )
    return _compiled(name, path)


def _compiled(name: str, path: str) -> ModuleType:
    """A compiled extension module, from a copy if that can be loaded."""
    copy = in_memory(path)
    try:
        return _loaded(importlib.machinery.ExtensionFileLoader(name, copy), path)
    except ImportError as error:
        if error.path != copy:
            raise
    return _loaded(importlib.machinery.ExtensionFileLoader(name, path), path)


def _loaded(loader: FileLoader, path: str, below: list[str] | None = None) -> ModuleType:
    """The module that the loader makes, with `path` as its file, and its submodules `below`."""
    spec = importlib.util.spec_from_file_location(
        loader.name, loader.path, loader=loader, submodule_search_locations=below
    )
    assert spec is not None  # noqa: S101 - it has a loader
    module = importlib.util.module_from_spec(spec)
    module.__file__ = path
    sys.modules[spec.name] = module
    try:
        loader.exec_module(module)
    except BaseException:
        sys.modules.pop(spec.name, None)
        raise
    return sys.modules.get(spec.name, module)


def _free_name(name: str) -> str:
    """The plugin's own name, unless that is another module's: math.py may want to import math itself."""
    taken = name in sys.modules or name in sys.stdlib_module_names or importlib.util.find_spec(name) is not None
    return f"{PRIVATE}.{name}" if taken else name


def _once(*tasks: AnyTask) -> list[AnyTask]:
    return list({id(task): task for task in tasks}.values())


def _globals_of(module: ModuleType) -> list[AnyTask]:
    """The tasks among a module's globals. Asks for types alone: a lazy object must not wake up."""
    return [value for value in list(vars(module).values()) if issubclass(type(value), Task)]


def _alive(task: AnyTask) -> bool:
    """Whether the module that defines it is loaded. One that fails while it is imported is taken away again."""
    module = _module_of(task)
    return not module or module in sys.modules


def _module_of(task: AnyTask) -> str:
    return str(getattr(task.function, "__module__", None) or "")
