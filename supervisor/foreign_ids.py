"""Ids as the predecessor's clients give them, who might use any string, as ids of tsched, which are short and plain.

Most are both: a UUID, `job-7`. Others (of digits only, which tsched gives itself; with spaces, slashes, letters of
other alphabets; none of ours, beginning with `id:`) become `id:` and the string, its other bytes as _XX. Two different
strings never become the same id.
"""

from __future__ import annotations

from ..proto import checks
from ..proto.errors import Refusal, RefusalReason

PREFIX = "id:"
PLAIN = frozenset(b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-")


def ours(given: str) -> str:
    """The id that a task has here. Raises Refusal BAD_ID for one that is too long, or empty."""
    if not given.startswith(PREFIX) and _is_ours(given):
        return given
    quoted = PREFIX + "".join(chr(byte) if byte in PLAIN else f"_{byte:02X}" for byte in given.encode())
    if not given or not _is_ours(quoted):
        hint = "use 1 to 128 letters, digits, '.', '_', ':' or '-'; a UUID will do"
        raise Refusal(RefusalReason.BAD_ID, f"not a task's id: {checks.quoted(given)}", hint)
    return quoted


def _is_ours(text: str) -> bool:
    try:
        checks.check_id(text)
    except Refusal:
        return False
    return True
