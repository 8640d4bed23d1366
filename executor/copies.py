"""Copies of compiled plugins in memory. In the function's own interpreter."""

from __future__ import annotations

import os

SIZE_LIMIT = 64 * 1024 * 1024
"""Bytes of a library that each process may have a copy of."""
_ORIGIN = (b"$ORIGIN", b"${ORIGIN}")
"""A library that says this looks for others where it lies itself."""


def in_memory(path: str) -> str:
    """The path of a copy that nobody can change, or the path itself where a copy would not do.

    Code is mapped, not read: who copies a new library over an old one changes it under the calls that run.
    The copy stays open, for the loader knows libraries by their paths. Raises OSError.
    """
    with open(path, "rb") as file:
        content = file.read(SIZE_LIMIT + 1)
    if len(content) > SIZE_LIMIT or any(word in content for word in _ORIGIN):
        return path
    copy = os.memfd_create(os.path.basename(path))
    with open(copy, "wb", closefd=False) as file:
        file.write(content)
    return f"/proc/self/fd/{copy}"
