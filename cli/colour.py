"""Colours for people: on a terminal, and only the words that say how a task fares."""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from argparse import Namespace
    from collections.abc import Callable

    from . import parser

RESET = "\x1b[0m"
PAUSED = "running (paused)"
_GREEN, _RED, _YELLOW, _MAGENTA, _CYAN = (f"\x1b[{code}m" for code in (32, 31, 33, 35, 36))
_OF = {
    "running": _CYAN,
    PAUSED: _MAGENTA,
    "held": _MAGENTA,
    "stopping": _YELLOW,
    "retrying": _YELLOW,
    "cancelled": _YELLOW,
    "skipped": _YELLOW,
    "succeeded": _GREEN,
    "failed": _RED,
    "timed_out": _RED,
    "lost": _RED,
}
_WORD = re.compile(r"[a-z_]+(?: \(paused\))?")


def add_flag(to: parser.Parser) -> None:
    """Whether to colour."""
    to.add_argument("--color", choices=["auto", "always", "never"], default="auto", help="colour the words for states")


def painter(args: Namespace) -> Callable[[str], str]:
    """What colours the states in a text, or leaves them as they are."""
    wanted = args.color == "always" or (args.color == "auto" and _shows())
    return states if wanted else str


def _shows() -> bool:
    """Whether stdout is a terminal that shows colours, and nobody asked for none (no-color.org)."""
    return os.isatty(1) and not os.environ.get("NO_COLOR") and os.environ.get("TERM") not in (None, "", "dumb")


def states(text: str) -> str:
    """The text with every state in its colour."""
    return _WORD.sub(_painted, text)


def _painted(found: re.Match[str]) -> str:
    begin = _OF.get(found[0])
    return f"{begin}{found[0]}{RESET}" if begin else found[0]
