"""The last lines and bytes of an output, wherever its pieces were cut."""

from hypothesis import given
from hypothesis import strategies as st

from tsched.proto import api_pb2
from tsched.supervisor import logs

PIECES = st.lists(st.binary(min_size=1, max_size=6).map(lambda data: bytes(b"a\nbc\n\n"[each % 6] for each in data)))


def pieces_of(parts):
    offset, pieces = 0, []
    for part in parts:
        pieces.append(api_pb2.Output(stream="out", offset=offset, data=part))
        offset += len(part)
    return pieces


def joined(pieces):
    return b"".join(piece.data for piece in pieces)


@given(PIECES, st.integers(min_value=0, max_value=9))
def test_the_last_lines_are_those_of_the_whole_text(parts, lines):
    whole = b"".join(parts)
    expected = b"".join(whole.splitlines(keepends=True)[-lines:]) if lines else b""
    assert joined(logs._cut_lines(pieces_of(parts), lines)) == expected


@given(PIECES, st.integers(min_value=0, max_value=20))
def test_the_last_bytes_are_those_of_the_whole_text(parts, count):
    whole = b"".join(parts)
    assert joined(logs._cut_bytes(pieces_of(parts), count)) == (whole[-count:] if count else b"")


@given(PIECES, st.integers(min_value=1, max_value=9))
def test_offsets_still_say_where_each_piece_lay(parts, lines):
    whole = b"".join(parts)
    for piece in logs._cut_lines(pieces_of(parts), lines):
        assert whole[piece.offset : piece.offset + len(piece.data)] == piece.data
