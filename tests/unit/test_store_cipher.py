"""Sealed fields open where they were sealed, as they were sealed, and nowhere else."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tsched.store.cipher import PLAIN_ID, CorruptRecord, FernetCipher, PlainCipher, key_of
from tsched.store.fresh import COST_BYTES, FIELD_BYTES, Fresh
from tsched.store.ring import Key, Ring

PLACE: Any = {"table": "payloads", "row": 7, "column": "sealed", "revision": 2}
RING = Ring((Key.make(),))
CIPHERS = {"in clear": PlainCipher(), "sealed": FernetCipher(RING, b"d" * 32)}


@pytest.fixture(params=CIPHERS.values(), ids=CIPHERS.keys())
def cipher(request: pytest.FixtureRequest) -> Any:
    return request.param


@given(plain=st.binary(max_size=300), which=st.sampled_from(sorted(CIPHERS)))
def test_what_is_sealed_opens_in_its_place(plain: bytes, which: str) -> None:
    cipher = CIPHERS[which]
    assert cipher.open(cipher.seal(plain, **PLACE), **PLACE) == plain


@pytest.mark.parametrize(
    "other",
    [{"table": "tasks"}, {"row": 8}, {"column": "message"}, {"revision": 3}],
    ids=lambda other: next(iter(other)),
)
def test_it_opens_in_no_other_place(cipher: Any, other: dict[str, object]) -> None:
    with pytest.raises(CorruptRecord):
        cipher.open(cipher.seal(b"secret", **PLACE), **{**PLACE, **other})


def test_any_flipped_bit_is_noticed(cipher: Any) -> None:
    sealed = cipher.seal(b"secret", **PLACE)
    for place in range(len(sealed) * 8):
        damaged = bytearray(sealed)
        damaged[place // 8] ^= 1 << place % 8
        with pytest.raises(CorruptRecord):
            cipher.open(bytes(damaged), **PLACE)


def test_a_torn_record_is_noticed(cipher: Any) -> None:
    sealed = cipher.seal(b"secret", **PLACE)
    for length in range(len(sealed)):
        with pytest.raises(CorruptRecord):
            cipher.open(sealed[:length], **PLACE)


@settings(max_examples=300)
@given(sealed=st.binary(max_size=300), head=st.sampled_from([b"", b"\x00", b"\x01" + RING.newest.id, b"\x01"]))
def test_what_was_never_sealed_opens_nowhere(sealed: bytes, head: bytes) -> None:
    for cipher in CIPHERS.values():
        with pytest.raises(CorruptRecord):
            cipher.open(head + sealed, **PLACE)


def test_equal_contents_have_equal_digests_and_others_have_others(cipher: Any) -> None:
    assert cipher.digest(b"a") == cipher.digest(b"a") != cipher.digest(b"b")
    assert cipher.matches(cipher.digest(b"a"), b"a")
    assert not cipher.matches(cipher.digest(b"a"), b"b")


def test_the_same_is_sealed_differently_each_time_and_shows_nothing_of_itself() -> None:
    cipher = CIPHERS["sealed"]
    first, second = (cipher.seal(b"secret" * 9, **PLACE) for _ in range(2))
    assert first != second
    assert b"secret" not in first
    assert b"payloads" not in first


def test_a_newer_key_seals_and_every_key_of_the_ring_opens() -> None:
    cipher = FernetCipher(RING, b"d" * 32)
    old = cipher.seal(b"old", **PLACE)
    cipher.use(RING.with_new(Key.make()))
    new = cipher.seal(b"new", **PLACE)
    assert (cipher.open(old, **PLACE), cipher.open(new, **PLACE)) == (b"old", b"new")
    assert key_of(old) == RING.newest.id != key_of(new) == cipher.target
    cipher.use(cipher.ring.only_newest())
    assert cipher.open(new, **PLACE) == b"new"
    with pytest.raises(CorruptRecord):
        cipher.open(old, **PLACE)


def test_what_is_in_clear_is_trusted_only_where_there_was_a_time_without_encryption() -> None:
    in_clear = PlainCipher().seal(b"rm -rf /", **PLACE)
    assert FernetCipher(RING, b"d" * 32, takes_plain=True).open(in_clear, **PLACE) == b"rm -rf /"
    with pytest.raises(CorruptRecord):
        FernetCipher(RING, b"d" * 32).open(in_clear, **PLACE)


def test_on_the_way_back_nothing_is_sealed_and_everything_opens() -> None:
    sealed = CIPHERS["sealed"].seal(b"a", **PLACE)
    leaving = FernetCipher(RING, b"d" * 32, takes_plain=True, seals=False)
    in_clear = leaving.seal(b"b", **PLACE)
    assert (leaving.open(sealed, **PLACE), leaving.open(in_clear, **PLACE)) == (b"a", b"b")
    assert key_of(in_clear) == PLAIN_ID == leaving.target


def test_a_fingerprint_tells_nothing_to_who_lacks_the_key_and_outlives_encryption() -> None:
    keyed, other = CIPHERS["sealed"], FernetCipher(RING, b"e" * 32)
    assert keyed.digest(b"a") != other.digest(b"a")
    assert keyed.digest(b"a") != PlainCipher().digest(b"a")
    assert not keyed.matches(PlainCipher().digest(b"a"), b"a")
    assert FernetCipher(RING, b"d" * 32, takes_plain=True).matches(PlainCipher().digest(b"a"), b"a")
    assert PlainCipher(b"d" * 32).matches(keyed.digest(b"a"), b"a")


def test_what_was_sealed_lately_is_given_once_as_it_was_and_the_oldest_make_room() -> None:
    fresh = Fresh(limit_bytes=3 * (COST_BYTES + 2))
    for number in range(4):
        fresh.put(b"%d" % number, b"place", b"x")
    assert fresh.take(b"0") is None
    assert fresh.take(b"3") == (b"place", b"x")
    assert fresh.take(b"3") is None
    fresh.put(b"long", b"place", bytes(FIELD_BYTES + 1))
    assert fresh.take(b"long") is None


def test_what_was_sealed_lately_opens_in_its_place_only_and_not_when_changed() -> None:
    cipher = FernetCipher(RING, b"d" * 32)
    sealed = cipher.seal(b"secret", **PLACE)
    with pytest.raises(CorruptRecord):
        cipher.open(sealed, **{**PLACE, "row": 8})
    sealed = cipher.seal(b"secret", **PLACE)
    with pytest.raises(CorruptRecord):
        cipher.open(sealed[:-1] + bytes([sealed[-1] ^ 1]), **PLACE)
    assert [cipher.open(sealed, **PLACE) for _ in range(2)] == [b"secret"] * 2
