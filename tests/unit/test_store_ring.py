"""Keys are read from text, or refused by line; what is refused is not shown."""

from __future__ import annotations

import pytest
from cryptography.fernet import Fernet
from hypothesis import given
from hypothesis import strategies as st

from tsched.proto.errors import Refusal, RefusalReason
from tsched.store.ring import ID_BYTES, Key, Ring, parse


def test_a_ring_is_read_as_it_was_written_the_newest_first() -> None:
    ring = Ring((Key.make(),)).with_new(Key.make())
    assert parse(ring.text, "the key") == ring
    assert parse(f"\n  {ring.newest.text}   # mine\n\n", "the key").newest == ring.newest


def test_keys_are_fernets_own_and_known_by_ids_that_do_not_show_them() -> None:
    key = Key(Fernet.generate_key().decode())
    assert len(key.id) == ID_BYTES
    assert key.id == Key(key.text).id != Key.make().id
    assert key.text not in repr(Ring((key,)))


WRONG = {
    "nothing": ("", "the key holds no key"),
    "a remark": ("# nothing\n", "the key holds no key"),
    "a word": ("secret-word\n", "line 1 of the key is no key"),
    "a cut key": (f"{Key.make().text}\n{Key.make().text[:-1]}\n", "line 2 of the key is no key"),
    "a key twice": (f"{'A' * 43}=\n" * 2, "the key holds a key twice"),
    "too many": ("".join(f"{Key.make().text}\n" for _ in range(17)), "the key holds 17 keys, 16 are the most"),
}


@pytest.mark.parametrize("wrong", WRONG)
def test_what_is_no_ring_is_refused_by_name(wrong: str) -> None:
    text, told = WRONG[wrong]
    with pytest.raises(Refusal) as caught:
        parse(text, "the key")
    assert (caught.value.reason, caught.value.message) == (RefusalReason.KEY_UNUSABLE, told)


@given(st.text(max_size=200))
def test_any_text_is_a_ring_or_is_refused_and_not_shown(text: str) -> None:
    told = ""
    try:
        parse(text, "the key")
    except Refusal as refusal:
        told = refusal.message
    assert len(told) < 80
    assert told.startswith(("the key holds", "line ")) or not told
