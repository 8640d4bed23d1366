"""Sealed fields open where they were sealed, as they were sealed, and nowhere else."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tsched.store.cipher import CorruptRecord, PlainCipher

PLACE = {"table": "payloads", "row": 7, "column": "sealed", "revision": 2}


@given(st.binary(max_size=300))
def test_what_is_sealed_opens_in_its_place(plain: bytes) -> None:
    cipher = PlainCipher()
    assert cipher.open(cipher.seal(plain, **PLACE), **PLACE) == plain


@pytest.mark.parametrize(
    "other",
    [{"table": "tasks"}, {"row": 8}, {"column": "message"}, {"revision": 3}],
    ids=lambda other: next(iter(other)),
)
def test_it_opens_in_no_other_place(other: dict[str, object]) -> None:
    cipher = PlainCipher()
    with pytest.raises(CorruptRecord):
        cipher.open(cipher.seal(b"secret", **PLACE), **{**PLACE, **other})


def test_any_flipped_bit_is_noticed() -> None:
    cipher = PlainCipher()
    sealed = cipher.seal(b"secret", **PLACE)
    for place in range(len(sealed) * 8):
        damaged = bytearray(sealed)
        damaged[place // 8] ^= 1 << place % 8
        with pytest.raises(CorruptRecord):
            cipher.open(bytes(damaged), **PLACE)


@pytest.mark.parametrize("length", range(12))
def test_a_torn_record_is_noticed(length: int) -> None:
    cipher = PlainCipher()
    with pytest.raises(CorruptRecord):
        cipher.open(cipher.seal(b"secret", **PLACE)[:length], **PLACE)


def test_equal_contents_have_equal_digests_and_others_have_others() -> None:
    cipher = PlainCipher()
    assert cipher.digest(b"a") == cipher.digest(b"a") != cipher.digest(b"b")
