"""A task's bytes to our own standard descriptors, exactly."""

from __future__ import annotations

import os
import select
from typing import TYPE_CHECKING

from . import console

if TYPE_CHECKING:
    from ..proto import api_pb2 as api

DESCRIPTORS = {"out": 1, "err": 2}
NAMES = {"out": "stdout", "err": "stderr"}


def pour(output: api.Output, *, alone: bool = False, to: int | None = None) -> None:
    """Write a piece of output where it belongs, all of it, and say what is missing before or behind it.

    A stream that was asked for `alone` is our data and goes to stdout, whichever it is; `to`: where both go.

    Raises BrokenPipeError when nobody reads any more.
    """
    if output.gap_bytes:
        console.say(f"{output.gap_bytes} bytes of {NAMES[output.stream]} were not kept (output cap)")
    write(to or (1 if alone else DESCRIPTORS[output.stream]), output.data)
    if output.truncated:
        console.say("the output ends here: what recorded it died; more may have been written")


def write(descriptor: int, data: bytes) -> None:
    """Write everything, waiting where the descriptor does not."""
    rest = memoryview(data)
    while rest:
        try:
            rest = rest[os.write(descriptor, rest) :]
        except BlockingIOError:
            select.select([], [descriptor], [])
