"""What a disk may hold after the power failed: rebuilt from a trace of what was written and synced.

The rules are those a file system gives: what was synced is there; of what was not, each write may be there, missing, or
torn at a sector; a name that was made or removed is as durable as its folder's last sync. `-shm` files are no durable
state and are left out.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import random
    from collections.abc import Iterator
    from pathlib import Path

SECTOR = 512
CALLS = "openat,close,pwrite64,write,ftruncate,fdatasync,fsync,unlink"
LINE = re.compile(r"(?P<at>[\d.]+) (?P<call>\w+)\((?P<args>.*)\) += (?P<result>-?\d+)")
TEXT = re.compile(r'"((?:\\x[0-9a-f]{2})*)"')


@dataclass(frozen=True)
class Call:
    """One system call about the folder, or a line the victim told."""

    kind: str
    name: str = ""
    offset: int = 0
    data: bytes = b""


def calls(trace: Path, folder: Path) -> list[Call]:
    """All calls of all threads about files in the folder, in their order."""
    lines = [
        match
        for path in trace.parent.glob(f"{trace.name}.*")
        for match in map(LINE.match, path.read_text().splitlines())
        if match
    ]
    names: dict[str, str] = {}
    return [call for line in sorted(lines, key=lambda match: match["at"]) if (call := _call(line, names, str(folder)))]


def _call(line: re.Match[str], names: dict[str, str], folder: str) -> Call | None:
    """One call; `names` knows which file a descriptor stands for."""
    quoted = TEXT.search(line["args"])
    text = bytes.fromhex(quoted[1].replace("\\x", "")) if quoted else b""
    words = line["args"].split(", ")
    descriptor, last = words[0], words[-1]
    if line["call"] == "write" and descriptor == "1":
        return Call("told", data=text)
    if line["call"] in ("openat", "unlink"):
        return _named(line, text.decode(errors="replace"), names, folder)
    name = names.pop(descriptor, None) if line["call"] == "close" else names.get(descriptor)
    if name is None or name.endswith("-shm") or line["call"] == "close":
        return None
    kind = {"pwrite64": "write", "ftruncate": "truncate"}.get(line["call"], "sync")
    return Call(kind, name, int(last) if kind != "sync" else 0, text)


def _named(line: re.Match[str], path: str, names: dict[str, str], folder: str) -> Call | None:
    inside = path == folder or path.startswith(folder + "/")
    name = path[len(folder) + 1 :] if inside else None
    if line["call"] == "openat":
        names.pop(line["result"], None)
        if name is not None:
            names[line["result"]] = name
    if not name or name.endswith("-shm") or int(line["result"]) < 0:
        return None
    return Call("open" if line["call"] == "openat" else "unlink", name)


@dataclass
class Disk:
    """What is certainly there, and what is only written."""

    durable: dict[str, bytes] = field(default_factory=dict)
    pending: dict[str, list[Call]] = field(default_factory=dict)
    names: dict[str, bool] = field(default_factory=dict)
    unsure: dict[str, bytes | None] = field(default_factory=dict)

    def do(self, call: Call) -> None:
        """One more call."""
        if call.kind == "open":
            if not self.names.get(call.name):
                self.unsure.setdefault(call.name, None)
            self.names[call.name] = True
        elif call.kind == "unlink":
            self.unsure.setdefault(call.name, self.durable.get(call.name, b""))
            self.names[call.name] = False
            self.durable.pop(call.name, None)
            self.pending.pop(call.name, None)
        elif call.kind == "sync" and not call.name:
            self.unsure.clear()
        elif call.kind == "sync":
            self.durable[call.name] = _applied(self.durable.get(call.name, b""), self.pending.pop(call.name, []))
        else:
            self.pending.setdefault(call.name, []).append(call)

    def image(self, dice: random.Random) -> dict[str, bytes]:
        """One of the things that may be found when the power is back."""
        files = {}
        for name, there in self.names.items():
            if name in self.unsure and dice.random() < 0.5:
                former = self.unsure[name]
                if former is not None:
                    files[name] = former
            elif there:
                files[name] = _applied(self.durable.get(name, b""), list(_some(self.pending.get(name, []), dice)))
        return files


def _applied(content: bytes, changes: list[Call]) -> bytes:
    grown = bytearray(content)
    for change in changes:
        end = change.offset + (len(change.data) if change.kind == "write" else 0)
        if len(grown) < end or (change.kind == "truncate" and len(grown) != end):
            grown = grown[:end] + bytes(max(0, end - len(grown)))
        if change.kind == "write":
            grown[change.offset : end] = change.data
    return bytes(grown)


def _some(changes: list[Call], dice: random.Random) -> Iterator[Call]:
    """All, none, or any of the changes, some of them in part."""
    kept = dice.choice((0.0, 0.5, 0.9, 1.0))
    for change in changes:
        if change.kind == "write" and dice.random() < 0.3 and kept < 1:
            yield from (piece for piece in _sectors(change) if dice.random() < kept)
        elif dice.random() < kept:
            yield change


def _sectors(change: Call) -> Iterator[Call]:
    first = SECTOR - change.offset % SECTOR
    for begin in [0, *range(first, len(change.data), SECTOR)]:
        end = first if begin == 0 else begin + SECTOR
        yield Call("write", change.name, change.offset + begin, change.data[begin:end])
