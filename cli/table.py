"""Plain tables that fit the terminal."""

from __future__ import annotations

from typing import TYPE_CHECKING

from . import escape

if TYPE_CHECKING:
    from collections.abc import Sequence

GAP = "  "
NARROWEST = 6
"""No column is made narrower than this for another's sake."""


def render(head: Sequence[str], rows: Sequence[Sequence[str]], columns: int | None) -> str:
    """The table; with `columns`, no line is wider: the widest cells are cut."""
    cells = [list(head), *([escape.line(cell) for cell in row] for row in rows)]
    widths = [max(escape.width(row[place]) for row in cells) for place in range(len(head))]
    if columns is not None:
        _shrink(widths, columns - len(GAP) * (len(head) - 1))
    return "\n".join(_line(row, widths, cut=columns is not None) for row in cells)


def _shrink(widths: list[int], room: int) -> None:
    """Take from the widest column until all fit."""
    while sum(widths) > room and max(widths) > NARROWEST:
        place = widths.index(max(widths))
        second = max([width for other, width in enumerate(widths) if other != place], default=0)
        widths[place] = max(NARROWEST, second - 1, widths[place] - (sum(widths) - room))


def _line(row: Sequence[str], widths: Sequence[int], *, cut: bool) -> str:
    fitted = [escape.fit(cell, width) if cut else cell for cell, width in zip(row, widths, strict=True)]
    padded = [cell + " " * (width - escape.width(cell)) for cell, width in zip(fitted, widths, strict=True)]
    return GAP.join(padded).rstrip()


def fields(pairs: Sequence[tuple[str, str]]) -> str:
    """Names and values, one pair a line, the values in one column."""
    room = max(len(name) for name, _ in pairs)
    return "\n".join(f"{name:<{room}}  {escape.line(value)}".rstrip() for name, value in pairs)
