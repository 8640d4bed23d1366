"""Named SQL: every statement the store runs lies in queries/*.sql, with its name and its purpose.

A block opens with `-- name: purpose`. One that changes states goes on with `-- from:` and `-- to:`, the states it
changes from and into; tests hold them to lifecycle.py and to what the statement does.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

FOLDER = Path(__file__).parent / "queries"
PARAMETER = re.compile(r":([a-z_]+)")
VALUES = re.compile(r"VALUES (\([^()]*\))")
HEADER = re.compile(r"^-- (?P<name>[a-z][a-z_]*): (?P<text>.+)$")


@dataclass(frozen=True, slots=True, kw_only=True)
class Statement:
    """A named statement. `before` and `after` are states, empty where it changes none."""

    name: str
    purpose: str
    before: frozenset[str]
    after: frozenset[str]
    text: str

    @property
    def takes_rows(self) -> bool:
        """Whether all its parameters are those of one row of VALUES, so that there may be more of them."""
        return VALUES.search(self.text) is not None

    def of_rows(self, many: int) -> tuple[str, list[str]]:
        """The text for so many rows at once, and the names of the values of each, in their order."""
        head, row, tail = VALUES.split(self.text)
        return f"{head}VALUES {', '.join([PARAMETER.sub('?', row)] * many)}{tail}", PARAMETER.findall(row)


@cache
def load(folder: Path = FOLDER) -> Mapping[str, Statement]:
    """All statements by name. Raises ValueError on a doubled name or a block without SQL."""
    statements: dict[str, Statement] = {}
    for path in sorted(folder.glob("*.sql")):
        for statement in parse(path.read_text(encoding="utf-8")):
            if statement.name in statements:
                raise ValueError(f"{path.name}: statement {statement.name} is there twice")
            statements[statement.name] = statement
    return MappingProxyType(statements)


def parse(text: str) -> Iterator[Statement]:
    """The statements of one file: paragraphs whose first line names them."""
    for paragraph in re.split(r"\n\s*\n", text):
        lines = paragraph.strip().splitlines()
        opening = HEADER.match(lines[0]) if lines else None
        if opening is not None:
            yield _statement(opening["name"], opening["text"], lines[1:])


def _statement(name: str, purpose: str, lines: list[str]) -> Statement:
    heads = {match["name"]: match["text"] for match in map(HEADER.match, lines) if match}
    text = "\n".join(line for line in lines if not line.startswith("--")).strip()
    if not text:
        raise ValueError(f"statement {name} has no SQL")
    return Statement(
        name=name,
        purpose=purpose,
        before=frozenset(heads.get("from", "").split()),
        after=frozenset(heads.get("to", "").split()),
        text=text,
    )
