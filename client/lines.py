"""Output, which comes in pieces of two streams, as lines of text. Pure."""

from __future__ import annotations

from collections.abc import Iterator

from ..proto import api_pb2 as api


class Lines:
    """Whole lines as they become complete; what is no UTF-8 is replaced. Lines of both streams never mix."""

    def __init__(self) -> None:
        self._begun = {"out": b"", "err": b""}

    def fed(self, output: api.Output) -> Iterator[str]:
        """The lines that this piece completes; what was begun before a gap is given as it is."""
        if output.gap_bytes and self._begun[output.stream]:
            yield _text(self._begun[output.stream])
            self._begun[output.stream] = b""
        *whole, begun = (self._begun[output.stream] + output.data).split(b"\n")
        self._begun[output.stream] = begun
        yield from (_text(line + b"\n") for line in whole)

    def rest(self) -> Iterator[str]:
        """What no line end followed."""
        yield from (_text(begun) for begun in self._begun.values() if begun)


def _text(line: bytes) -> str:
    return line.decode(errors="replace")
