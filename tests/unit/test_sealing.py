"""Sealed output opens in its place under its key, and nowhere else."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tsched.proto.sealing import KEY_BYTES, KeySealer, PlainSealer, sealer

SEALER = KeySealer(b"k" * KEY_BYTES)
PLACE = (5, 2, 1, 100)


@given(st.binary(max_size=500), st.integers(1, 2**50), st.integers(1, 2**35), st.integers(0, 2**62))
def test_what_is_sealed_opens_in_its_place(data: bytes, attempt: int, number: int, offset: int) -> None:
    place = (attempt, number, 2, offset)
    assert SEALER.open(*place, SEALER.seal(*place, data)) == data


@pytest.mark.parametrize(
    "place",
    [(6, 2, 1, 100), (5, 3, 1, 100), (5, 2, 2, 100), (5, 2, 1, 101), (-5, 2, 1, 100), (5, 2**40, 1, 100)],
)
def test_it_opens_in_no_other_place(place: tuple[int, int, int, int]) -> None:
    with pytest.raises(ValueError, match="does not open"):
        SEALER.open(*place, SEALER.seal(*PLACE, b"text"))


def test_it_opens_under_no_other_key_and_not_when_cut_or_changed() -> None:
    sealed = SEALER.seal(*PLACE, b"text")
    for other in (sealed[:-1], sealed[1:], bytes([sealed[0] ^ 1]) + sealed[1:], b""):
        with pytest.raises(ValueError, match="does not open"):
            SEALER.open(*PLACE, other)
    with pytest.raises(ValueError, match="does not open"):
        KeySealer(b"x" * KEY_BYTES).open(*PLACE, sealed)


def test_without_a_key_output_is_kept_as_it_is() -> None:
    assert isinstance(sealer(None), PlainSealer)
    assert sealer(None).seal(*PLACE, b"text") == b"text"
