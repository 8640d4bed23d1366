"""Functions as the catalogue has them, read from what an inspection tells of a source."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from ..proto import call_pb2, checks, link_pb2
from ..proto.clock import SECOND_US
from ..proto.errors import Refusal
from ..proto.values import SourceKind
from .arguments import Params, params_of
from .config_keys import PROFILE_NAME

NAME_LIMIT = 512
SIGNATURE_LIMIT = 2_000
DOC_LIMIT = 8_000
MESSAGE_LIMIT = 500
RETRIES_LIMIT = 1_000_000
DELAY_RANGE_US = (0, checks.GRACE_RANGE_US[1])
PLUGIN_KINDS = frozenset({SourceKind.PYTHON, SourceKind.NATIVE})


@dataclass(frozen=True, slots=True, kw_only=True)
class Origin:
    """Where code is found, whatever it holds now."""

    name: str
    kind: str
    python: str
    path: str = ""
    modules: tuple[str, ...] = ()

    def link(self, generation: int) -> link_pb2.Source:
        """The same for executors."""
        return link_pb2.Source(
            name=self.name,
            generation=generation,
            kind=self.kind,
            python=self.python,
            path=self.path,
            modules=self.modules,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One function. What its author did not choose is empty, or None."""

    name: str
    alias: str = ""
    """Another name: SOURCE::QUALNAME."""
    is_async: bool
    native: bool
    source: str
    generation: int
    signature: str = ""
    doc: str = ""
    params: Params
    queue: str = ""
    priority: int | None = None
    timeout_us: int | None = None
    retries: int | None = None
    retry_delay_us: int | None = None
    profile: str = ""

    def check(self, call: call_pb2.Call) -> None:
        """Raises Refusal BAD_ARGUMENTS when it cannot be called so. A result of another task may be of any type."""
        self.params.check(self.name, call)


class BadDescriptionError(ValueError):
    """What an inspection told of a function makes no sense."""


def entries_of(origin: Origin, generation: int, told: Iterable[Any]) -> tuple[list[Entry], list[str]]:
    """The functions of a source, and what is wrong with those left out."""
    entries: dict[str, Entry] = {}
    wrong = []
    for each in told:
        try:
            entry = _entry_of(origin, generation, each)
        except (ValueError, Refusal) as error:
            name = each.get("name") if isinstance(each, dict) else each
            wrong.append(f"{checks.quoted(str(name))}: {error}")
            continue
        if entry.name in entries:
            wrong.append(f"{entry.name}: it is there twice, and the first one counts")
        entries.setdefault(entry.name, entry)
    return list(entries.values()), wrong


def _entry_of(origin: Origin, generation: int, told: Any) -> Entry:
    match told:
        case {"name": str(name), "is_async": bool(is_async), "native": bool(native)} if _nameable(name):
            pass
        case _:
            raise BadDescriptionError("it has no name that can be used")
    chosen = told.get("options")
    return Entry(
        name=name,
        alias=_text(told.get("alias"), NAME_LIMIT),
        is_async=is_async,
        native=native,
        source=origin.name,
        generation=generation,
        signature=_text(told.get("signature"), SIGNATURE_LIMIT),
        doc=_text(told.get("doc"), DOC_LIMIT),
        params=params_of(told.get("params")),
        **_options(chosen if isinstance(chosen, Mapping) else {}),
    )


def _nameable(name: str) -> bool:
    return 0 < len(name) <= NAME_LIMIT and name.isprintable() and " " not in name


def _text(told: object, limit: int) -> str:
    return told[:limit].encode(errors="replace").decode() if isinstance(told, str) else ""


def _options(chosen: Mapping[str, Any]) -> dict[str, Any]:
    """What its author chose. Raises ValueError or Refusal naming what cannot be."""
    queue, profile = chosen.get("queue") or "", chosen.get("profile") or ""
    if not (isinstance(queue, str) and isinstance(profile, str)):
        raise BadDescriptionError("queue and profile must be names")
    if profile and not PROFILE_NAME.fullmatch(profile):
        raise BadDescriptionError(f"no profile has such a name: {checks.quoted(profile)}")
    return {
        "queue": checks.check_queue(queue) if queue else "",
        "profile": profile,
        "priority": _whole(chosen.get("priority"), "priority", checks.INT32_RANGE),
        "retries": _whole(chosen.get("retries"), "retries", (0, RETRIES_LIMIT)),
        "retry_delay_us": _length(chosen.get("retry_delay"), "retry_delay", DELAY_RANGE_US),
        "timeout_us": _length(chosen.get("timeout"), "timeout", (0, checks.TIMEOUT_RANGE_US[1])),
    }


def _whole(value: object, name: str, limits: tuple[int, int]) -> int | None:
    if value is None:
        return None
    if type(value) is not int or not limits[0] <= value <= limits[1]:
        raise BadDescriptionError(f"{name} must be a whole number from {limits[0]} to {limits[1]}")
    return value


def _length(value: object, name: str, limits_us: tuple[int, int]) -> int | None:
    """Seconds as microseconds."""
    if value is None:
        return None
    good = isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
    if not good or not limits_us[0] <= value * SECOND_US <= limits_us[1]:  # type: ignore[operator]
        raise BadDescriptionError(f"{name} must be seconds from {limits_us[0]} to {limits_us[1] // SECOND_US}")
    return round(value * SECOND_US)  # type: ignore[operator]


def one_line(text: str) -> str:
    """A text from outside as one line that may be shown."""
    shown = "".join(each if each.isprintable() else " " for each in text)
    return " ".join(shown.split())[:MESSAGE_LIMIT]
