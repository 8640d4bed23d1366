"""Where words go: data to stdout, notices to stderr, one line each; refusals in the form that was asked for."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, Any

from . import escape

if TYPE_CHECKING:
    from ..proto.errors import Refusal

DEFAULT_COLUMNS = 80


def prepare() -> None:
    """Make the three standard descriptors safe to use, and text printable whatever the locale."""
    for descriptor in range(3):
        # Else the next socket would get this number, and a task's output would be written into it.
        try:
            os.fstat(descriptor)
        except OSError:
            os.open(os.devnull, os.O_RDWR)
    for stream in (sys.stdout, sys.stderr):
        if stream is not None:
            stream.reconfigure(errors="backslashreplace")  # type: ignore[union-attr]


def say(message: str) -> None:
    """Tell the user something that is not what was asked for."""
    if sys.stderr is not None:
        print(f"tsched: {escape.line(message)}", file=sys.stderr, flush=True)


def put(text: str) -> None:
    """Print data."""
    print(text)


def put_json(value: Any) -> None:
    """Print one JSON value on a line of its own, at once: somebody may follow."""
    import json

    print(json.dumps(value, ensure_ascii=False, allow_nan=False), flush=True)


def refuse(refusal: Refusal, *, as_json: bool) -> None:
    """Say why something was not done."""
    if as_json:
        put_json({"error": {"reason": refusal.reason, "message": refusal.message, "hint": refusal.hint}})
    else:
        say(f"{refusal.message} ({refusal.hint})" if refusal.hint else refusal.message)


def columns() -> int | None:
    """Width of the terminal that stdout is; None where it is none, and nothing has to fit."""
    wanted = os.environ.get("COLUMNS", "")
    if not os.isatty(1):
        return None
    if wanted.isascii() and wanted.isdigit() and int(wanted) > 0:
        return int(wanted)
    try:
        return os.get_terminal_size(1).columns or DEFAULT_COLUMNS
    except OSError:
        return DEFAULT_COLUMNS
