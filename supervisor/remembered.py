"""What is kept of the catalogue over a restart: STATE/functions.json, written whole or not at all."""

from __future__ import annotations

import json
import os
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from ..store.disk import sync_folder
from .entries import Origin

NAME = "functions.json"
VERSION = 1
SIZE_LIMIT = 256 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class KeptSource:
    """A source as it was loaded last."""

    origin: Origin
    generation: int
    loaded_at_us: int
    functions: tuple[Any, ...]
    """As its inspection told them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """All that is kept."""

    last_generation: int
    unloaded: frozenset[str] = frozenset()
    sources: tuple[KeptSource, ...] = field(default=())


def read(state_dir: Path) -> Kept | None:
    """What was kept; None where there is nothing that can be read."""
    with suppress(OSError, ValueError, KeyError, TypeError, RecursionError):
        with (state_dir / NAME).open("rb") as file:
            told = json.loads(file.read(SIZE_LIMIT))
        if told["version"] == VERSION:
            return Kept(
                last_generation=int(told["last_generation"]),
                unloaded=frozenset(map(str, told["unloaded"])),
                sources=tuple(_source(each) for each in told["sources"]),
            )
    return None


def write(state_dir: Path, kept: Kept) -> None:
    """Keep it, for this user only. Raises OSError; what was kept before is there still."""
    told = {
        "version": VERSION,
        "last_generation": kept.last_generation,
        "unloaded": sorted(kept.unloaded),
        "sources": [asdict(each) for each in kept.sources],
    }
    path, beside = state_dir / NAME, state_dir / f"{NAME}.new"
    descriptor = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    with os.fdopen(descriptor, "w") as file:
        json.dump(told, file, separators=(",", ":"))
        file.flush()
        os.fsync(file.fileno())
    os.replace(beside, path)
    sync_folder(state_dir)


def _source(told: dict[str, Any]) -> KeptSource:
    origin = told["origin"]
    return KeptSource(
        origin=Origin(**{**origin, "modules": tuple(origin["modules"])}),
        generation=int(told["generation"]),
        loaded_at_us=int(told["loaded_at_us"]),
        functions=tuple(told["functions"]),
    )
