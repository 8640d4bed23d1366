"""What a look into a source finds: functions, and what could not be had and why. In the function's own interpreter."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, NamedTuple

from ..client.flow import Cancelled

if TYPE_CHECKING:
    from types import TracebackType

    from ..client.registry import Task

NAME_LIMIT = 200
"""Characters of a function's name."""
MESSAGE_LIMIT = 500
"""Characters of what is said about one thing that failed."""
OUR_ROOMS = ("executor", "client", "proto")
"""The folders with the code of ours that a source's own code may call."""


class SourceError(Exception):
    """A source has nothing that could be called; says in one line what is wrong with it."""


class NativeError(Exception):
    """What a native function said instead of a result."""


class BadAnswerError(Exception):
    """What a native function gave as its result cannot be one."""


class Function(NamedTuple):
    """Something to be called.

    `call(args: list, kwargs: dict)` gives the value, or an awaitable of it where `is_async`. Of a native one it is
    `call(args: bytes) -> bytes`: a serialized taskscheduler.ListValue, and a serialized google.protobuf.Any (b"" for
    none); it blocks, also where `is_async`, which for native ones means that many may run beside each other in threads.
    It raises NativeError for what the plugin reports, BadAnswerError for an answer that cannot be one.
    """

    name: str
    """What it is called by."""
    alias: str
    """Another name, SOURCE::QUALNAME; empty: it has none."""
    is_async: bool
    native: bool
    call: Callable[..., Any]
    task: Task[..., Any] | None = None
    """What it was made of; None for native ones, which tell about themselves:"""
    signature: str = ""
    doc: str = ""


class Failure(NamedTuple):
    """Something that a source names and that is not to be had."""

    object: str
    message: str


class Found:
    """What was found so far. A name is given once: who comes second is a failure."""

    def __init__(self) -> None:
        self.functions: dict[str, Function] = {}
        self.failed: list[Failure] = []

    def add(self, function: Function) -> None:
        """Take it, or note why its name cannot be."""
        problem = name_problem(function.name)
        if not problem and function.name in self.functions:
            problem = "two functions have this name; the first one is taken"
        if problem:
            self.failed.append(Failure(shortened(function.name, NAME_LIMIT), problem))
        else:
            self.functions[function.name] = function

    @contextmanager
    def noting(self, what: str) -> Iterator[None]:
        """Whatever goes wrong within the block, also sys.exit, is a failure of `what` and nothing more."""
        try:
            yield
        except Cancelled:
            raise  # whoever wanted this has no use for it any more
        except SourceError as error:
            self.failed.append(Failure(what, str(error)))
        except BaseException as error:  # noqa: BLE001 - it is somebody's code that runs here
            show(error)
            self.failed.append(Failure(what, said(error)))


def name_problem(name: str) -> str:
    """What keeps a function from being called so; empty when nothing does."""
    if not name.rpartition("::")[2] or len(name) > NAME_LIMIT:
        return f"a function's name has 1 to {NAME_LIMIT} characters"
    if not name.isprintable() or any(character.isspace() for character in name):
        return "a function's name has no spaces and no control characters"
    return ""


def said(error: BaseException) -> str:
    """An error in one line, as Python says it last, with the place in the code that it comes from."""
    try:
        text = " ".join(str(error).split())
    except BaseException:  # noqa: BLE001 - its __str__ is somebody's code as well
        text = "(it cannot say what it is)"
    line = shortened(f"{type(error).__name__}: {text}" if text else type(error).__name__, MESSAGE_LIMIT)
    place = "" if isinstance(error, SyntaxError) else _place(error.__traceback__)
    return f"{line} ({place})" if place else line


def show(error: BaseException) -> None:
    """Print the traceback from where the code begins that failed: stderr is where who looks after it looks."""
    frame = error.__traceback__
    while frame is not None and not _theirs(frame):
        frame = frame.tb_next
    if frame is None and not isinstance(error, SyntaxError):
        return  # as of a module that is not there: one line says it all
    import traceback  # noqa: PLC0415 - few sources fail

    with contextlib.suppress(Exception):
        traceback.print_exception(type(error), error, frame)


def shortened(text: str, limit: int) -> str:
    """The text, or its beginning and an ellipsis, and nothing that could not be encoded."""
    text = text.encode(errors="replace").decode()
    return text if len(text) <= limit else f"{text[: limit - 3]}..."


def _place(frame: TracebackType | None) -> str:
    """File and line of the innermost frame that is neither ours nor the import machinery's."""
    place = ""
    while frame is not None:
        if _theirs(frame):
            place = f"{os.path.basename(frame.tb_frame.f_code.co_filename)}, line {frame.tb_lineno}"
        frame = frame.tb_next
    return place


def _theirs(frame: TracebackType) -> bool:
    """Whether this is the source's own code, neither ours nor the import machinery's."""
    ours = os.path.dirname(os.path.dirname(__file__))
    folders = (
        *(os.path.join(ours, room) for room in OUR_ROOMS),
        os.path.dirname(str(sys.modules["importlib"].__file__)),
    )
    return not frame.tb_frame.f_code.co_filename.startswith((*(f"{each}{os.sep}" for each in folders), "<frozen "))
