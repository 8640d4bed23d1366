"""Where the keys of a TOML file stand: tomllib reads values, and keeps no lines. Pure.

Only what tomllib has read without complaint is looked at, so that it is enough to know headers, keys and strings over
several lines.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    Path = tuple[str, ...]

_PART = r"""(?:[A-Za-z0-9_-]+|"(?:[^"\\]|\\.)*"|'[^']*')"""
_KEY = rf"{_PART}(?:[ \t]*\.[ \t]*{_PART})*"
_HEADER = re.compile(rf"[ \t]*\[\[?[ \t]*({_KEY})[ \t]*\]")
_PAIR = re.compile(rf"[ \t]*({_KEY})[ \t]*=")
_LONG = re.compile(r'"""|' + r"'''")


def of_keys(text: str) -> dict[Path, int]:
    """The line, from 1, on which each table and each key begins that has a line of its own."""
    lines: dict[Path, int] = {}
    table: Path = ()
    for number, line in _outside_strings(text):
        if header := _HEADER.match(line):
            table = _path(header[1])
            lines.setdefault(table, number)
        elif pair := _PAIR.match(line):
            lines.setdefault(table + _path(pair[1]), number)
    return lines


def line_of(lines: dict[Path, int], path: Sequence[str]) -> int:
    """The line of a key, or of the nearest thing around it."""
    for length in range(len(path), 0, -1):
        if (found := lines.get(tuple(path[:length]))) is not None:
            return found
    return 1


def _outside_strings(text: str) -> Iterator[tuple[int, str]]:
    """The lines that do not begin within a string."""
    inside = ""
    for number, line in enumerate(text.split("\n"), 1):
        if not inside and line.lstrip().startswith("#"):
            continue
        if not inside:
            yield number, line
        for mark in _LONG.findall(line):
            inside = mark if not inside else "" if inside == mark else inside


def _path(key: str) -> Path:
    return tuple(part if part[0] not in "\"'" else part[1:-1] for part in re.findall(_PART, key))
