"""What sources of functions there are, and which of them may be looked at. Loads nothing."""

from __future__ import annotations

import importlib
import mmap
import os
import sys
from collections import defaultdict
from collections.abc import Collection, Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from importlib import metadata
from importlib.machinery import EXTENSION_SUFFIXES
from pathlib import Path

from ..proto import endpoint
from ..proto.values import SourceKind
from . import trust
from .config import Config, FunctionSource
from .entries import PLUGIN_KINDS, Origin, one_line

BUILTIN = "builtin"
GROUP = "tsched.tasks"
"""The entry points that name functions."""
LIBRARY = ".so"
LIBRARY_PREFIX = "lib"
CACHE = "__pycache__"
SYSTEM_STATE = Path("/var/lib/tsched")
SHARED_LIBRARY = Path("/usr/local/lib/tsched/plugins")
"""Of a service of several users, whose state folder is closed to them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """One source, and what keeps it from being looked at."""

    origin: Origin
    wrong: str = ""
    unsafe: bool = False
    """Whether others could change it."""


def default_library(state_dir: Path) -> Path:
    """Where plugins lie when nobody says otherwise: beside the service of a machine, or among the user's own data."""
    if state_dir == SYSTEM_STATE:
        return SYSTEM_STATE / "plugins"
    base = os.environ.get("XDG_DATA_HOME")
    return (Path(base) if base else Path.home() / ".local" / "share") / "tsched" / "plugins"


def library_of(config: Config, state_dir: Path, asked: Path | None, *, several_users: bool = False) -> Path | None:
    """The folder of plugins; None when there is none and none was asked for."""
    if asked is not None:
        return asked
    if config.library_folder:
        return Path(config.library_folder)
    default = SHARED_LIBRARY if several_users else default_library(state_dir)
    return default if endpoint.is_there(default) else None


def discover(config: Config, library: Path | None) -> list[Found]:
    """All sources, those that go first first. Looks at files: to be called in a thread."""
    found = [Found(origin=Origin(name=BUILTIN, kind=SourceKind.BUILTIN, python=sys.executable))]
    found += map(_configured, config.functions)
    found += _entry_points() if config.library_entry_points else []
    found += _plugins(library) if library is not None else []
    return list(_one_of_each_name(found))


def _one_of_each_name(found: list[Found]) -> Iterator[Found]:
    first: dict[str, Origin] = {}
    for each in found:
        former = first.setdefault(each.origin.name, each.origin)
        if former is each.origin or each.wrong:
            yield each
        else:
            taken = f"another source has this name: {former.path or former.kind}"
            yield replace(each, wrong=taken)


def _configured(given: FunctionSource) -> Found:
    origin = Origin(
        name=given.name,
        kind=SourceKind.FUNCTIONS,
        python=given.python or sys.executable,
        path=given.path,
        modules=given.modules,
    )
    return _checked(origin)


def _entry_points() -> list[Found]:
    """One source for each distribution that has some."""
    try:
        places = _places_of_entry_points()
    except Exception as error:  # noqa: BLE001 - what is written of an installed package may be anything
        origin = Origin(name=GROUP, kind=SourceKind.ENTRY_POINTS, python=sys.executable)
        return [Found(origin=origin, wrong=one_line(f"the installed packages cannot be read: {error!r}"))]
    return [
        Found(
            origin=Origin(
                name=name, kind=SourceKind.ENTRY_POINTS, python=sys.executable, modules=tuple(sorted(places[name]))
            )
        )
        for name in sorted(places)
    ]


def _places_of_entry_points() -> dict[str, list[str]]:
    """What each distribution names, as NAME = MODULE:OBJECT."""
    importlib.invalidate_caches()  # what was installed since is seen
    places: dict[str, list[str]] = defaultdict(list)
    for point in metadata.entry_points(group=GROUP):
        distribution = point.dist.name if point.dist else GROUP
        places[distribution].append(f"{point.name} = {point.value}")
    return places


def _plugins(library: Path) -> list[Found]:
    """What lies in the folder, packages before modules before libraries of the same name."""
    try:
        paths = sorted(library.iterdir())
    except OSError:
        return []  # whoever asked for it is told by library_trouble
    origins = [origin for path in paths if (origin := plugin_of(path)) is not None]
    return [_checked(origin) for origin in sorted(origins, key=lambda each: (each.name, _rank(each)))]


def library_trouble(library: Path | None) -> str:
    """Why nothing can be read from the folder of plugins; empty when it can."""
    if library is None:
        return ""
    try:
        os.listdir(library)
    except OSError as error:
        return f"{library}: {error.strerror}"
    return ""


def _rank(origin: Origin) -> int:
    path = Path(origin.path)
    return 2 if path.suffix == LIBRARY else 1 if path.suffix else 0


def plugin_of(path: Path) -> Origin | None:
    """The plugin that a file or folder is; None for what is none."""
    name, kind = path.name, SourceKind.PYTHON
    if name.startswith((".", "_")):
        return None
    if path.is_dir():
        stem = name if (path / "__init__.py").exists() else ""
    elif path.suffix == ".py":
        stem = path.stem
    elif path.suffix == LIBRARY:
        stem, kind = _library(path)
    else:
        return None
    if not stem:
        return None
    return Origin(name=stem, kind=kind, python=sys.executable, path=str(path))


def _library(path: Path) -> tuple[str, SourceKind]:
    """The name and kind of a file *.so: one that Python could import has PyInit_NAME in it."""
    suffix = next((each for each in EXTENSION_SUFFIXES if path.name.endswith(each)), LIBRARY)
    stem = path.name.removesuffix(suffix)
    if "." in stem:  # made for another Python: that is told when it is loaded
        return stem.partition(".")[0], SourceKind.PYTHON
    if suffix != LIBRARY or _holds(path, f"PyInit_{stem}\0".encode()):
        return stem, SourceKind.PYTHON
    return stem.removeprefix(LIBRARY_PREFIX), SourceKind.NATIVE


def _holds(path: Path, text: bytes) -> bool:
    with (
        suppress(OSError, ValueError),
        path.open("rb") as file,
        mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content,
    ):
        return content.find(text) >= 0
    return False


def _checked(origin: Origin) -> Found:
    if origin.kind in PLUGIN_KINDS and not origin.name.isidentifier():
        wrong = "its name is no name of a module: rename it, with letters, digits and _ only, a digit not first"
        return Found(origin=origin, wrong=wrong)
    try:
        _check(origin)
    except trust.UnsafeError as error:
        return Found(origin=origin, wrong=one_line(str(error)), unsafe=True)
    except OSError as error:
        return Found(origin=origin, wrong=one_line(f"{error.filename}: {error.strerror}"))
    return Found(origin=origin)


def _check(origin: Origin) -> None:
    for named in (origin.python, origin.path):
        if named:
            os.stat(named)  # what is not there is told by its whole name
    if origin.kind in PLUGIN_KINDS:
        path = Path(origin.path)
        trust.check_folder(path.parent)
        _check_code(path)
        _check_code(path.parent / CACHE)
        return
    if origin.python != sys.executable:
        trust.check_file(Path(origin.python))
    if origin.path:
        _check_modules(Path(origin.path), {module.partition(".")[0] for module in origin.modules})


def _check_modules(folder: Path, wanted: Collection[str]) -> None:
    """A folder to import from: what is wanted of it imports what lies beside."""
    trust.check_folder(folder)
    for path in sorted(folder.iterdir()):
        code = path.suffix in (".py", LIBRARY) or (path / "__init__.py").exists()
        if code or path.name in wanted or path.name == CACHE:
            _check_code(path)


def _check_code(path: Path) -> None:
    """A file, or a folder with everything in it, if it is there."""
    if path.is_dir():
        trust.check_tree(path)
    elif os.path.lexists(path):
        trust.check_file(path)
