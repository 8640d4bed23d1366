"""Tells what functions a source has: signatures, documentation, parameters. In the function's own interpreter.

The source comes as JSON on stdin, the catalogue goes as JSON to what was stdout at the start. Code that prints while it
is imported prints to stderr.
"""

from __future__ import annotations

import contextlib
import json
import os
import sys
from typing import Any, NoReturn

from .found import Failure, Function
from .parameters import doc_of, params_of, signature_of
from .sources import Source, look


def main(words: list[str]) -> NoReturn:
    """Answer, and leave without waiting for what the code started: threads, atexit, its own children.

    `words`: the uid of the user to be first, if any.
    """
    for uid in words:
        _become(int(uid))
    answer_fd = os.dup(1)
    os.dup2(2, 1)
    source = json.loads(sys.stdin.buffer.read())
    _no_stdin()
    code = _send(answer_fd, json.dumps(described(source), default=str).encode())
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(Exception):
            stream.flush()
    os._exit(code)


def _become(uid: int) -> None:
    """Be this user before any code is loaded; where that cannot be, none is."""
    from .user import User, UserError  # noqa: PLC0415 - few need it

    try:
        User.of_uid(uid).become()
    except UserError as error:
        sys.exit(f"it is looked at as user {uid}, and that cannot be: {error}")


def described(source: Source) -> dict[str, Any]:
    """The catalogue of a source."""
    found = look(source)
    functions = []
    for function in found.functions.values():
        with found.noting(function.name):
            functions.append(_described(function))
    return {"functions": functions, "failed": [Failure._asdict(failure) for failure in found.failed]}


def _described(function: Function) -> dict[str, Any]:
    task = function.task
    return {
        "name": function.name,
        "alias": function.alias,
        "is_async": function.is_async,
        "native": function.native,
        "signature": function.signature if task is None else signature_of(task.function),
        "doc": function.doc if task is None else doc_of(task.function),
        "params": None if task is None else params_of(task.function),
        "options": {} if task is None else task.options._asdict(),
    }


def _no_stdin() -> None:
    null = os.open(os.devnull, os.O_RDONLY)
    os.dup2(null, 0)
    os.close(null)


def _send(fd: int, data: bytes) -> int:
    """Write it all; the exit code."""
    try:
        with open(fd, "wb") as stream:
            stream.write(data)
    except OSError:
        return 1  # nobody reads, or the code closed what was not its own
    return 0
