"""Where words go: data to stdout, notices to stderr, one line each; refusals in the form that was asked for."""

from __future__ import annotations

import os
import sys
from contextlib import suppress
from typing import TYPE_CHECKING, Any, TextIO

from . import escape

if TYPE_CHECKING:
    from collections.abc import Iterable

    from ..proto.errors import Refusal

DEFAULT_COLUMNS = 80


def prepare() -> None:
    """Make the three standard descriptors safe to use, and text printable whatever the locale."""
    # A closed descriptor's number would go to the next socket, and a task's output would be written into that.
    while (descriptor := os.open(os.devnull, os.O_RDWR)) < len(("stdin", "stdout", "stderr")):
        pass
    os.close(descriptor)
    sys.stdout = _printable(sys.stdout, 1)
    sys.stderr = _printable(sys.stderr, 2)


def _printable(stream: TextIO | None, descriptor: int) -> TextIO:
    """The stream, made for a descriptor that was closed, writing what its encoding lacks as escapes."""
    if stream is None:
        return open(descriptor, "w", errors="backslashreplace", closefd=False)
    stream.reconfigure(errors="backslashreplace")  # type: ignore[attr-defined]
    return stream


def say(message: str) -> None:
    """Tell the user something that is not what was asked for."""
    with suppress(OSError):  # nobody hears us; that is no reason to fail
        print(f"tsched: {escape.line(message)}", file=sys.stderr, flush=True)


def put(text: str) -> None:
    """Print data."""
    print(text)


def put_json(value: Any) -> None:
    """Print one JSON value on a line of its own, at once: somebody may follow.

    What a terminal could take for a command, or cannot show, is written as the escape that JSON has for it.
    """
    print(_json(value), flush=True)


def put_json_list(values: Iterable[Any]) -> None:
    """Print a JSON list on a line of its own, value by value: a long one is never in memory as a whole."""
    opening = "["
    for value in values:
        print(opening + _json(value), end="")
        opening = ", "
    print("[]" if opening == "[" else "]", flush=True)


def _json(value: Any) -> str:
    import json

    bare = (sys.stdout.encoding or "").lower().replace("-", "") == "utf8"
    text = json.dumps(value, ensure_ascii=not bare, allow_nan=False)
    return text if text.isprintable() else text.translate(_JsonEscapes())


class _JsonEscapes(dict[int, str]):
    """For each character that was asked for: itself, or how JSON writes it in ASCII."""

    def __missing__(self, code: int) -> str:
        import json

        character = chr(code)
        self[code] = character if character.isprintable() else json.dumps(character)[1:-1]
        return self[code]


def error_of(refusal: Refusal) -> dict[str, str]:
    """Why something was not done, for programs."""
    return {"reason": refusal.reason, "message": refusal.message, "hint": refusal.hint}


def refuse(refusal: Refusal, *, as_json: bool) -> None:
    """Say why something was not done."""
    if as_json:
        with suppress(OSError):
            put_json({"error": error_of(refusal)})
            return
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


def supervisor_away(id: str) -> None:  # noqa: A002 - the word of the contract
    """Say that the supervisor does not answer any more, and that this ends no task."""
    what = f"task {id} goes on" if id else "tasks go on"
    say(f"the supervisor is away, starting anew perhaps; {what}; waiting for it to come back")
