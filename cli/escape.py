"""Text of other people's making, made safe for a terminal and a table: one line, no control, no reordering.

The width of a character is what unicodedata says of it. That is as near as one can come: terminals disagree about
pictures joined of several characters (such joiners are escaped anyway), and a library of widths knows no better which
of them is in use.
"""

from __future__ import annotations

import unicodedata

_HIDDEN = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})
"""Categories that move the cursor, reorder what is around them, show nothing, or cannot be encoded."""
_BLANK = frozenset("\u034f\u115f\u1160\u17b4\u17b5\u180b\u180c\u180d\u2800\u3164\uffa0")
"""Letters and marks that show nothing, for which names are faked."""
_MARKS = frozenset({"Mn", "Me", "Mc"})
MARKS_LIMIT = 6
"""So many marks on one letter are a language; more are a tower that covers other lines."""
_NARROW_PICTURE = "\ufe0f"
"""Asks for the wide picture of a narrow character; where it gets that, the two take two columns."""
_JAMO = (range(0x1160, 0x1200), range(0xD7B0, 0xD800))
"""The vowels and ends of Korean syllables, written into their beginning's columns."""


def line(text: str) -> str:
    """The text with every control, format and bidi character, line break and lone surrogate written as an escape."""
    return text if text.isascii() and text.isprintable() else "".join(_shown(text))


def _shown(text: str) -> list[str]:
    shown, marks = [], 0
    for character in text:
        category = unicodedata.category(character)
        marks = marks + 1 if category in _MARKS else 0
        hidden = category in _HIDDEN or character in _BLANK or marks > MARKS_LIMIT
        shown.append(_escape(character) if hidden else character)
    return shown


def _escape(character: str) -> str:
    return character.encode("unicode_escape").decode() if ord(character) != 0 else "\\0"


def width(text: str) -> int:
    """How many columns the text takes."""
    return len(text) if text.isascii() else sum(map(_columns, text))


def _columns(character: str) -> int:
    if unicodedata.category(character) in ("Mn", "Me"):
        return 1 if character == _NARROW_PICTURE else 0
    if any(ord(character) in each for each in _JAMO):
        return 0
    return 2 if unicodedata.east_asian_width(character) in "WF" else 1


def fit(text: str, columns: int) -> str:
    """The text, or as much of it as fits with an ellipsis behind."""
    if width(text) <= columns:
        return text
    kept, used = [], 1
    for character in text:
        used += _columns(character)
        if used > columns:
            break
        kept.append(character)
    return "".join(kept) + "…"
