"""Plain tables that fit the terminal."""

from __future__ import annotations

from typing import TYPE_CHECKING

from . import escape

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    Paint = Mapping[str, Callable[[str], str]]
    """How the values under a name are coloured: a text of the same width."""

GAP = "  "
NARROWEST = 6
"""No column is made narrower than this for another's sake, as long as that is possible."""
FREE = frozenset({"ID", "NAME", "COMMAND"})
"""Columns of people's own texts, of any length: they give way first."""


def render(head: Sequence[str], rows: Sequence[Sequence[str]], columns: int | None, paint: Paint | None = None) -> str:
    """The table; with `columns`, no line is wider: the widest cells are cut, people's own texts first."""
    cells = [list(head), *([escape.line(cell) for cell in row] for row in rows)]
    widths = [max(escape.width(row[place]) for row in cells) for place in range(len(head))]
    if columns is not None:
        room = columns - len(GAP) * (len(head) - 1)
        free = [place for place, name in enumerate(head) if name in FREE]
        for places, narrowest in ((free, NARROWEST), (range(len(head)), NARROWEST), (range(len(head)), 1)):
            _shrink(widths, room, places, narrowest)
    painters = [(paint or {}).get(name, str) for name in head]
    return "\n".join(_line(row, widths, painters, cut=columns is not None) for row in cells)


def _shrink(widths: list[int], room: int, places: Sequence[int], narrowest: int) -> None:
    """Take from the widest of these columns until all fit."""
    while sum(widths) > room and (widest := max((widths[place] for place in places), default=0)) > narrowest:
        place = next(place for place in places if widths[place] == widest)
        second = max([widths[other] for other in places if other != place], default=0)
        widths[place] = max(narrowest, second - 1, widest - (sum(widths) - room))


def _line(row: Sequence[str], widths: Sequence[int], painters: Sequence[Callable[[str], str]], *, cut: bool) -> str:
    fitted = [escape.fit(cell, width) if cut else cell for cell, width in zip(row, widths, strict=True)]
    padding = [" " * (width - escape.width(cell)) for cell, width in zip(fitted, widths, strict=True)]
    painted = [paint(cell) for cell, paint in zip(fitted, painters, strict=True)]
    return GAP.join(map("".join, zip(painted, padding, strict=True))).rstrip()


def fields(pairs: Sequence[tuple[str, str]], paint: Paint | None = None) -> str:
    """Names and values, one pair a line, the values in one column."""
    room = max(len(name) for name, _ in pairs)
    paint = paint or {}
    return "\n".join(f"{name:<{room}}  {paint.get(name, str)(escape.line(value))}".rstrip() for name, value in pairs)
