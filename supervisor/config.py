"""config.toml to frozen types. All mistakes are reported at once, each with its line and key.

The shipped config.toml is read first and is the one place of every default; a user's file overrides single keys.
"""

from __future__ import annotations

import json
import os
import re
import tomllib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..proto.errors import Refusal, RefusalReason
from ..proto.profiles import IO_CLASSES, LIMITS, Profile
from . import listen

SHIPPED = Path(__file__).resolve().parent.parent / "config.toml"
LOG_LEVELS = ("debug", "info", "warning", "error")
DAY_S = 86_400.0
FILE_LIMIT = 1 << 20
"""Bytes of a configuration that is read at all."""
# Less than this starves the runner itself, which lives under the limits that its tasks inherit.
LEAST_LIMITS = {"address_space_bytes": 64 << 20, "data_bytes": 64 << 20, "open_files": 32}
VARIABLE = re.compile(r"[^=\0]+")
LINE_END = b"\n"
LIMITS_RANGE_END = 2**63 - 1
PROCESSORS_LIMIT = 65_536
PROFILE_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}")
SOURCE_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}")
RESERVED_NAMES = frozenset({"builtin"})
MODULE = re.compile(r"[^\W\d]\w*(\.[^\W\d]\w*)*")


@dataclass(frozen=True, slots=True, kw_only=True)
class FunctionSource:
    """A table of [[functions]]: modules that register functions."""

    name: str
    modules: tuple[str, ...]
    path: str = ""
    """The folder put before sys.path; empty: none."""
    python: str = ""
    """The interpreter that runs them; empty: the service's own."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    """What the service runs with. Field names are `section_key` of config.toml."""

    service_log_level: str
    service_stop_timeout_s: float
    service_addr: str
    service_tls_cert: str
    service_tls_key: str
    service_tls_ca_cert: str
    logs_folder: str
    logs_rotate_bytes: int
    logs_keep_days: int
    logs_keep_files: int
    executors_count: int
    executors_slots: int
    executors_runner_idle_s: float
    executors_async_calls: int
    tasks_shell: str
    tasks_environment: tuple[str, ...]
    tasks_grace_s: float
    tasks_timeout_s: float
    tasks_output_cap_bytes: int
    store_keep_for_s: float
    store_keep_finished: int
    store_keep_events: int
    library_folder: str
    library_entry_points: bool
    functions: tuple[FunctionSource, ...]
    profiles: dict[str, Profile]

    @property
    def executor_count(self) -> int:
        """Executor processes to run."""
        return self.executors_count or min(2, os.cpu_count() or 1)

    @property
    def slots_per_executor(self) -> int:
        """Tasks one executor runs at a time."""
        return self.executors_slots or max(1, 4 * (os.cpu_count() or 1) // self.executor_count)


@dataclass(frozen=True, slots=True, kw_only=True)
class Mistake:
    """One thing that is wrong with a file."""

    line: int
    key: str
    what: str

    def __str__(self) -> str:
        return f"line {self.line}: {self.key} {self.what}"


class BadConfig(Refusal):
    """A configuration that cannot be used, with all that is wrong with it where that is known."""

    def __init__(self, message: str, mistakes: Sequence[Mistake] = ()) -> None:
        super().__init__(RefusalReason.BAD_CONFIG, message, "the shipped config.toml explains every key")
        self.mistakes = list(mistakes)


# A check returns what is wrong with a value, or None.
Check = Callable[[Any], str | None]


def _number(least: float, most: float) -> Check:
    def check(value: Any) -> str | None:
        good = isinstance(value, int | float) and not isinstance(value, bool)
        return None if good and least <= value <= most else f"must be a number from {least:g} to {most:g}"

    return check


def _whole(least: int, most: int) -> Check:
    def check(value: Any) -> str | None:
        good = isinstance(value, int) and not isinstance(value, bool) and least <= value <= most
        return None if good else f"must be a whole number from {least} to {most}"

    return check


def _one_of(*words: str) -> Check:
    def check(value: Any) -> str | None:
        return None if value in words else f"must be one of {', '.join(words)}"

    return check


def _path(value: Any) -> str | None:
    return (
        None if isinstance(value, str) and value.startswith("/") and "\0" not in value else "must be an absolute path"
    )


def _path_or_none(value: Any) -> str | None:
    return None if value == "" else _path(value) and "must be an absolute path, or empty"


def _addr(value: Any) -> str | None:
    try:
        good = isinstance(value, str) and (not value or bool(listen.parsed(value)))
    except Refusal:
        good = False
    return None if good else "must be HOST:PORT with an IP address or localhost, or empty"


def _truth(value: Any) -> str | None:
    return None if isinstance(value, bool) else "must be true or false"


def _home_path(value: Any) -> str | None:
    """An absolute path, or one below somebody's home folder."""
    good = isinstance(value, str) and "\0" not in value and (value == "" or os.path.isabs(os.path.expanduser(value)))
    return None if good else "must be a path that begins with / or ~, or empty"


def _modules(value: Any) -> str | None:
    good = isinstance(value, list) and value and all(isinstance(each, str) and MODULE.fullmatch(each) for each in value)
    return None if good else 'must be a list of modules to be imported, as ["shop.tasks"]'


def _source_name(value: Any) -> str | None:
    if not isinstance(value, str) or not SOURCE_NAME.fullmatch(value):
        return "must be a name: letters, digits, . _ and - only"
    return f"cannot be {value}: that is tsched's own" if value in RESERVED_NAMES else None


def _names(value: Any) -> str | None:
    good = isinstance(value, list) and all(
        isinstance(name, str) and name and not set("=\0") & set(name) for name in value
    )
    return None if good else "must be a list of variable names"


def _processors(value: Any) -> str | None:
    good = isinstance(value, list) and all(type(number) is int and 0 <= number < PROCESSORS_LIMIT for number in value)
    return None if good else "must be a list of processor numbers"


def _limits(value: Any) -> str | None:
    if not isinstance(value, dict):
        return "must be a table of limits"
    for name, limit in value.items():
        if name not in LIMITS:
            return f"has no limit named {_shown(name)}; there are {', '.join(LIMITS)}"
        least = LEAST_LIMITS.get(name, 0)
        if type(limit) is not int or not least <= limit <= LIMITS_RANGE_END:
            return f"has a bad {name}: must be a whole number, {least} or more"
    return None


SECTIONS: dict[str, dict[str, Check]] = {
    "service": {
        "log_level": _one_of(*LOG_LEVELS),
        "stop_timeout_s": _number(0, DAY_S),
        "addr": _addr,
        "tls_cert": _path_or_none,
        "tls_key": _path_or_none,
        "tls_ca_cert": _path_or_none,
    },
    "logs": {
        "folder": _path_or_none,
        "rotate_bytes": _whole(65_536, 1 << 40),
        "keep_days": _whole(1, 36_500),
        "keep_files": _whole(1, 100_000),
    },
    "executors": {
        "count": _whole(0, 64),
        "slots": _whole(0, 1024),
        "runner_idle_s": _number(0.1, DAY_S),
        "async_calls": _whole(1, 100_000),
    },
    "tasks": {
        "shell": _path,
        "environment": _names,
        "grace_s": _number(0, DAY_S),
        "timeout_s": _number(0, 3650 * DAY_S),
        "output_cap_bytes": _whole(65_536, 1 << 34),
    },
    "library": {"folder": _home_path, "entry_points": _truth},
    "store": {
        "keep_for_s": _number(60, 36_500 * DAY_S),
        "keep_finished": _whole(1, 100_000_000),
        "keep_events": _whole(1, 100_000_000),
    },
}
FUNCTIONS: dict[str, Check] = {"name": _source_name, "modules": _modules, "path": _home_path, "python": _home_path}
NEEDED_OF_FUNCTIONS = ("name", "modules")
PROFILE: dict[str, Check] = {
    "nice": _whole(0, 19),
    "io_class": _one_of(*IO_CLASSES),
    "io_level": _whole(0, 7),
    "cpu_affinity": _processors,
    "limits": _limits,
}


def load(path: Path | None) -> Config:
    """Read the shipped defaults and over them the file at `path`. Raises Refusal BAD_CONFIG naming every mistake."""
    values = tomllib.loads(SHIPPED.read_text("utf-8"))
    if path is not None:
        _merge(values, _read(path))
    return _freeze(values)


def _read(path: Path) -> dict[str, Any]:
    text = _text(path)
    try:
        values = tomllib.loads(text)
    except RecursionError:
        raise BadConfig(f"{path}: it is nested too deeply") from None
    except ValueError as error:  # of tomllib, or of a number with more digits than Python reads
        raise BadConfig(f"{path}: {error}") from None
    mistakes = [Mistake(line=_line_of(text, where), key=_shown(where), what=what) for where, what in _mistakes(values)]
    if mistakes:
        raise BadConfig(f"{path}: {'; '.join(map(str, mistakes))}", mistakes)
    return values


def _text(path: Path) -> str:
    try:
        with path.open("rb") as file:
            data = file.read(FILE_LIMIT + 1)
    except (OSError, ValueError) as error:
        raise BadConfig(f"cannot read {path}: {getattr(error, 'strerror', None) or error}") from None
    if len(data) > FILE_LIMIT:
        raise BadConfig(f"{path}: it is larger than {FILE_LIMIT} bytes")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise BadConfig(f"{path}: it is not UTF-8 (line {data.count(LINE_END, 0, error.start) + 1})") from None


def _shown(key: str) -> str:
    """A key as it may stand in one line."""
    return key if key.isprintable() else json.dumps(key)


def _mistakes(values: dict[str, Any]) -> Iterator[tuple[str, str]]:
    for section, content in values.items():
        if section == "profiles":
            yield from _profiles_mistakes(content)
        elif section == "functions":
            yield from _functions_mistakes(content)
        elif section not in SECTIONS:
            yield section, f"is unknown; there are {', '.join(SECTIONS)}, functions, profiles"
        else:
            yield from _table_mistakes(section, content, SECTIONS[section])


def _profiles_mistakes(content: Any) -> Iterator[tuple[str, str]]:
    if not isinstance(content, dict):
        yield "profiles", "must be a table"
        return
    for name, profile in content.items():
        yield from _profile_mistakes(name, profile)


def _profile_mistakes(name: str, profile: Any) -> Iterator[tuple[str, str]]:
    if not PROFILE_NAME.fullmatch(name):
        yield f"profiles.{name}", "is no name for a profile: letters, digits, _ and - only"
    yield from _table_mistakes(f"profiles.{name}", profile, PROFILE)


def _functions_mistakes(content: Any) -> Iterator[tuple[str, str]]:
    if not isinstance(content, list):
        yield "functions", "must be tables, each headed [[functions]]"
        return
    names = set()
    for number, table in enumerate(content, 1):
        where = f"functions[{number}]"
        yield from _table_mistakes(where, table, FUNCTIONS)
        given = table if isinstance(table, dict) else {}
        for key in NEEDED_OF_FUNCTIONS:
            if given and key not in given:
                yield where, f"has no {key}"
        if (name := str(given.get("name"))) in names:
            yield f"{where}.name", f"is taken: there is another {_shown(name)} before it"
        names.add(name)


def _table_mistakes(where: str, content: Any, checks: dict[str, Check]) -> Iterator[tuple[str, str]]:
    if not isinstance(content, dict):
        yield where, "must be a table"
        return
    for key, value in content.items():
        if key not in checks:
            yield f"{where}.{key}", f"is unknown; there are {', '.join(checks)}"
        elif wrong := checks[key](value):
            yield f"{where}.{key}", wrong


def _line_of(text: str, where: str) -> int:
    """Line of a dotted key, found in the text because tomllib does not keep it; the section's when in doubt."""
    section, _, key = where.rpartition(".")
    current, best, tables = "", 1, 0
    for number, line in enumerate(text.splitlines(), 1):
        if re.match(r"\s*\[\[\s*functions\s*\]\]", line):
            tables += 1
            current = f"functions[{tables}]"
            best = number if current in (where, section) else best
        elif header := re.match(r"\s*\[([^\]]+)\]", line):
            current = header[1].strip()
            best = number if current in (where, section) else best
        elif current == section and re.match(rf"\s*\"?{re.escape(key)}\"?\s*[=.]", line):
            return number
    return best


def _merge(base: dict[str, Any], over: dict[str, Any]) -> None:
    for section, content in over.items():
        if section == "functions":
            base[section] = content
            continue
        target = base.setdefault(section, {})
        if section == "profiles":
            for name, profile in content.items():
                target[name] = {**target.get(name, {}), **profile}
        else:
            target.update(content)


def _freeze(values: dict[str, Any]) -> Config:
    profiles = {name: Profile.of_dict({"name": name, **profile}) for name, profile in values.pop("profiles").items()}
    functions = tuple(_functions_of(table) for table in values.pop("functions", ()))
    flat = {f"{section}_{key}": value for section, content in values.items() for key, value in content.items()}
    flat["tasks_environment"] = tuple(flat["tasks_environment"])
    flat["library_folder"] = os.path.expanduser(flat["library_folder"])
    return Config(profiles=profiles, functions=functions, **flat)


def _functions_of(table: dict[str, Any]) -> FunctionSource:
    return FunctionSource(
        name=table["name"],
        modules=tuple(table["modules"]),
        path=os.path.expanduser(table.get("path", "")),
        python=os.path.expanduser(table.get("python", "")),
    )
