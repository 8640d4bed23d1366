"""What may stand in config.toml: every key with what its value may be, and what is wrong with what is there. Pure."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable, Iterator
from typing import Any

from ..proto.errors import Refusal
from ..proto.profiles import IO_CLASSES, LIMITS
from . import listen
from .callers import CLIENT_URI, ROLES

LOG_LEVELS = ("debug", "info", "warning", "error")
DAY_S = 86_400.0
# Less than this starves the runner itself, which lives under the limits that its tasks inherit.
LEAST_LIMITS = {"address_space_bytes": 64 << 20, "data_bytes": 64 << 20, "open_files": 32}
LIMITS_RANGE_END = 2**63 - 1
PROCESSORS_LIMIT = 65_536
PROFILE_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}")
GROUP_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]{0,63}\$?", re.ASCII)
SOURCE_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}")
RESERVED_NAMES = frozenset({"builtin"})
ADMIN_NAME = re.compile(r"%?[A-Za-z_][A-Za-z0-9_.-]{0,63}", re.ASCII)
MODULE = re.compile(r"[^\W\d]\w*(\.[^\W\d]\w*)*")

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


def _group(value: Any) -> str | None:
    good = isinstance(value, str) and (value == "*" or GROUP_NAME.fullmatch(value))
    return None if good else 'must be the name of a group, or "*"'


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


def _line(value: Any) -> str | None:
    return None if isinstance(value, str) and "\0" not in value else "must be a line for the shell, or empty"


def _names(value: Any) -> str | None:
    good = isinstance(value, list) and all(
        isinstance(name, str) and name and not set("=\0") & set(name) for name in value
    )
    return None if good else "must be a list of variable names"


def _processors(value: Any) -> str | None:
    good = isinstance(value, list) and all(type(number) is int and 0 <= number < PROCESSORS_LIMIT for number in value)
    return None if good else "must be a list of processor numbers"


def _clients(value: Any) -> str | None:
    if not isinstance(value, dict):
        return 'must be a table, as { "tsched://client/ci" = "submitter" }'
    for uri, role in value.items():
        if not CLIENT_URI.fullmatch(uri):
            return f"names no client: {shown(uri)}; they are tsched://client/NAME"
        if wrong := _one_of(*ROLES)(role):
            return f"has no role for {uri}: it {wrong}"
    return None


def _admins(value: Any) -> str | None:
    good = isinstance(value, list) and all(isinstance(each, str) and ADMIN_NAME.fullmatch(each) for each in value)
    return None if good else 'must be a list of users and groups, as ["root", "%wheel"]'


def _limits(value: Any) -> str | None:
    if not isinstance(value, dict):
        return "must be a table of limits"
    for name, limit in value.items():
        if name not in LIMITS:
            return f"has no limit named {shown(name)}; there are {', '.join(LIMITS)}"
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
        "tls_connection_age_s": _number(1, DAY_S),
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
        "spool_bytes": _whole(0, 1 << 40),
    },
    "tasks": {
        "shell": _path,
        "environment": _names,
        "grace_s": _number(0, DAY_S),
        "timeout_s": _number(0, 3650 * DAY_S),
        "output_cap_bytes": _whole(65_536, 1 << 34),
    },
    "library": {"folder": _home_path, "entry_points": _truth},
    "system": {"group": _group, "root_tasks": _truth},
    "store": {
        "keep_for_s": _number(60, 36_500 * DAY_S),
        "keep_finished": _whole(1, 100_000_000),
        "keep_events": _whole(1, 100_000_000),
        "encryption": _one_of("on", "off"),
        "key_command": _line,
        "keep_audit": _whole(1000, 100_000_000),
    },
    "access": {
        "tcp_role": _one_of(*ROLES),
        "tls_role": _one_of(*ROLES),
        "clients": _clients,
        "admins": _admins,
    },
    "limits": {
        "concurrent_calls": _whole(0, 1_000_000),
        "queued_tasks": _whole(0, 1_000_000_000),
        "submits_per_s": _number(0, 1_000_000),
        "submits_burst": _whole(1, 1_000_000),
        "connections": _whole(1, 100_000),
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


def shown(key: str) -> str:
    """A key as it may stand in one line."""
    return key if key and key.isprintable() else json.dumps(key)


def mistakes_in(values: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """All that is wrong: which key, and what of it."""
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
        if not isinstance(table, dict):
            continue
        for key in NEEDED_OF_FUNCTIONS:
            if key not in table:
                yield where, f"has no {key}"
        if (name := str(table.get("name"))) in names:
            yield f"{where}.name", f"is taken: there is another {shown(name)} before it"
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
