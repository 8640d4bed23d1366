"""config.toml to frozen types. All mistakes are reported at once, each with its line and key.

The shipped config.toml is read first and is the one place of every default; a user's file overrides single keys.
"""

from __future__ import annotations

import os
import re
import tomllib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..proto.errors import Refusal, RefusalReason
from ..proto.profiles import Profile
from .callers import ROLES, Access
from .config_keys import mistakes_in, shown
from .limits import Limits

SHIPPED = Path(__file__).resolve().parent.parent / "config.toml"
FILE_LIMIT = 1 << 20
"""Bytes of a configuration that is read at all."""
LINE_END = b"\n"
FUNCTIONS_HEADER = re.compile(r"\s*\[\[\s*functions\s*\]\]")
HEADER = re.compile(r"\s*\[([^\]]+)\]")
PAIR = re.compile(r"([^=]+)=")


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
    service_tls_connection_age_s: float
    logs_folder: str
    logs_rotate_bytes: int
    logs_keep_days: int
    logs_keep_files: int
    executors_count: int
    executors_slots: int
    executors_runner_idle_s: float
    executors_async_calls: int
    executors_spool_bytes: int
    tasks_shell: str
    tasks_environment: tuple[str, ...]
    tasks_grace_s: float
    tasks_timeout_s: float
    tasks_output_cap_bytes: int
    store_keep_for_s: float
    store_keep_finished: int
    store_keep_events: int
    store_encryption: str
    store_key_command: str
    store_keep_audit: int
    access_tcp_role: str
    access_tls_role: str
    access_clients: dict[str, str]
    access_admins: tuple[str, ...]
    limits_concurrent_calls: int
    limits_queued_tasks: int
    limits_submits_per_s: float
    limits_submits_burst: int
    library_folder: str
    library_entry_points: bool
    functions: tuple[FunctionSource, ...]
    system_group: str
    system_root_tasks: bool
    limits_connections: int
    profiles: dict[str, Profile]

    @property
    def access(self) -> Access:
        """What callers over TCP may."""
        clients = {uri: ROLES[word] for uri, word in self.access_clients.items()}
        return Access(tcp_role=ROLES[self.access_tcp_role], tls_role=ROLES[self.access_tls_role], clients=clients)

    @property
    def limits(self) -> Limits:
        """How much one caller may."""
        return Limits(
            concurrent_calls=self.limits_concurrent_calls,
            queued_tasks=self.limits_queued_tasks,
            submits_per_s=self.limits_submits_per_s,
            submits_burst=self.limits_submits_burst,
        )

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
    lines = _lines_of(text)
    mistakes = [
        Mistake(line=_line_of(lines, where), key=shown(where), what=what) for where, what in mistakes_in(values)
    ]
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


def _lines_of(text: str) -> dict[tuple[str, str], int]:
    """Where sections ("", SECTION) and keys (SECTION, KEY) are, found in the text as tomllib does not keep it."""
    lines: dict[tuple[str, str], int] = {}
    section, tables = "", 0
    for number, line in enumerate(text.split("\n"), 1):
        if FUNCTIONS_HEADER.match(line):
            tables += 1
            section = f"functions[{tables}]"
            lines["", section] = number
        elif header := HEADER.match(line):
            section = header[1].strip()
            lines["", section] = number
        elif pair := PAIR.match(line):
            key = pair[1].strip().strip('"')
            lines.setdefault((section, key), number)
            lines.setdefault((section, key.partition(".")[0].strip().strip('"')), number)
    return lines


def _line_of(lines: dict[tuple[str, str], int], where: str) -> int:
    """Line of a dotted key; the section's when in doubt."""
    section, _, key = where.rpartition(".")
    return lines.get((section, key)) or lines.get(("", where)) or lines.get(("", section)) or 1


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
    flat["access_admins"] = tuple(flat["access_admins"])
    flat["library_folder"] = os.path.expanduser(flat["library_folder"])
    return Config(profiles=profiles, functions=functions, **flat)


def _functions_of(table: dict[str, Any]) -> FunctionSource:
    return FunctionSource(
        name=table["name"],
        modules=tuple(table["modules"]),
        path=os.path.expanduser(table.get("path", "")),
        python=os.path.expanduser(table.get("python", "")),
    )
