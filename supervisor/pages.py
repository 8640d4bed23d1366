"""Tasks in messages: a command may be a megabyte long, and a message has its limit."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import accumulate

from ..proto import api_pb2, endpoint

PAGE_BYTES = endpoint.MESSAGE_LIMIT // 4


def fitting(page: list[api_pb2.Task]) -> list[api_pb2.Task]:
    """As much of a page as one message should hold, at least one task."""
    sizes = accumulate(task.ByteSize() for task in page)
    return page[: max(1, sum(size <= PAGE_BYTES for size in sizes))]


def batches(tasks: Iterable[api_pb2.Task]) -> Iterator[list[api_pb2.Task]]:
    """All of them, in as few messages as their size allows."""
    rest = list(tasks)
    while rest:
        batch = fitting(rest)
        yield batch
        rest = rest[len(batch) :]
