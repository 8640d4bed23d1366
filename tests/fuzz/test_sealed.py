"""Bytes at rest and files of keys: opened as they were sealed, or called what they are; nothing of a key is shown."""

from __future__ import annotations

import base64
import re
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from hypothesis import strategies as st

from support.certs import Authority
from support.fuzz import SOME, fair, fuzzed
from support.messages import damaged
from tsched.proto.errors import Refusal, RefusalReason
from tsched.proto.sealing import KeySealer
from tsched.store import key_file, ring
from tsched.store.cipher import CorruptRecord, FernetCipher, PlainCipher, key_of
from tsched.store.ring import Key, Ring
from tsched.supervisor.pems import Tls
from tsched.supervisor.renewal import Renewal

KEYS = [Key(base64.urlsafe_b64encode(bytes([number]) * 32).decode()) for number in range(4)]
RING = Ring((KEYS[0], KEYS[1]))
CIPHER = FernetCipher(RING, b"d" * 32)
MIXED = FernetCipher(RING, b"d" * 32, takes_plain=True)
PLACE: Any = {"table": "payloads", "row": 7, "column": "sealed", "revision": 2}
ELSEWHERE: Any = {**PLACE, "row": 8}
SEALER = KeySealer(b"k" * 32)
int64s = st.integers(-(2**63), 2**63 - 1) | st.integers(0, 3)


@st.composite
def moved(draw: Any, whole: Any) -> tuple[bytes, bytes]:
    """What was sealed, and what is there now."""
    sealed: bytes = draw(whole)
    return sealed, draw(damaged(st.just(sealed)))


sealed_fields = st.builds(
    lambda cipher, plain: cipher.seal(plain, **PLACE), st.sampled_from([CIPHER, PlainCipher()]), st.binary(max_size=40)
)


@fuzzed(
    pair=moved(sealed_fields),
    head=st.sampled_from([b"", b"\x00", b"\x01", b"\x01" + KEYS[0].id]),
    other=st.binary(max_size=99),
)
def test_a_field_opens_as_it_was_sealed_or_is_called_corrupt(
    pair: tuple[bytes, bytes], head: bytes, other: bytes
) -> None:
    sealed, now = pair
    assert len(key_of(now)) <= len(KEYS[0].id)
    for cipher in (CIPHER, MIXED, PlainCipher()):
        for data, place in ((now, PLACE), (sealed, ELSEWHERE), (head + other, PLACE)):
            try:
                cipher.open(data, **place)
            except CorruptRecord:
                continue
            else:
                assert data == sealed
                assert place == PLACE


sealed_chunks = st.binary(max_size=40).map(lambda data: SEALER.seal(5, 1, 1, 0, data))
places = st.tuples(int64s, int64s, st.integers(1, 2), int64s)


@fuzzed(many=SOME, pair=moved(sealed_chunks), place=places, other=st.binary(max_size=60))
def test_output_opens_as_it_was_sealed_or_not_at_all(pair: tuple[bytes, bytes], place: Any, other: bytes) -> None:
    sealed, now = pair
    for data, at in ((now, (5, 1, 1, 0)), (sealed, place), (other, place)):
        try:
            SEALER.open(*at, data)
        except ValueError:
            continue
        assert data == sealed
        assert at == (5, 1, 1, 0)


key_lines = st.sampled_from(
    [*(each.text for each in KEYS), "# a", "", "\0", "\x1c", "A" * 43 + "=", "é" * 44, "=" * 44]
)
key_text = st.lists(key_lines, max_size=20).map("\n".join) | st.text(max_size=60)
key_bytes = key_text.map(str.encode) | damaged(key_text.map(str.encode)) | st.binary(max_size=60)


@fuzzed(many=SOME, data=key_bytes)
def test_a_file_of_keys_is_read_or_refused_and_nothing_of_it_is_shown(data: bytes) -> None:
    path = folder() / "key"
    path.touch(mode=0o600)
    path.write_bytes(data)
    try:
        found = key_file.load(path)
    except Refusal as refusal:
        fair(refusal, RefusalReason.KEY_UNUSABLE)
        shows_no_key(f"{refusal.message}{refusal.hint}".replace(str(path), ""))
        return
    assert found is not None
    assert ring.parse(found.text, "it") == found
    assert FernetCipher(found, b"d" * 32).seal(b"", **PLACE)


def shows_no_key(text: str) -> None:
    assert not re.search(r"[A-Za-z0-9_-]{43}", text)


@cache
def folder() -> Path:
    """One for all examples; it goes with the process."""
    holder = TemporaryDirectory(prefix="ts-")
    folder.holder = holder  # type: ignore[attr-defined]
    return Path(holder.name)


@cache
def pair() -> tuple[bytes, bytes]:
    """A certificate and its key, as PEM."""
    signed = Authority(folder()).sign("it")
    return signed.cert.read_bytes(), signed.key.read_bytes()


def pem(kind: str, der: bytes) -> bytes:
    body = base64.encodebytes(der).decode()
    return f"-----BEGIN {kind}-----\n{body}-----END {kind}-----\n".encode()


def der(data: bytes) -> bytes:
    return base64.b64decode(b"".join(data.splitlines()[1:-1]))


def spoilt(which: int, kind: str) -> Any:
    """A PEM file as it is, damaged, or damaged within."""
    kinds = st.sampled_from([kind, kind, "EC PRIVATE KEY", "CERTIFICATE", "ENCRYPTED PRIVATE KEY", "X509 CRL"])
    whole = st.deferred(lambda: st.just(pair()[which]))
    inner = st.deferred(lambda: damaged(st.just(der(pair()[which]))))
    return whole | damaged(whole) | st.builds(pem, kinds, inner) | st.binary(max_size=60)


@fuzzed(many=SOME, cert=spoilt(0, "CERTIFICATE"), key=spoilt(1, "PRIVATE KEY"), ca_cert=spoilt(0, "CERTIFICATE"))
def test_certificates_and_keys_are_taken_or_refused_by_name(cert: bytes, key: bytes, ca_cert: bytes) -> None:
    tls = Tls(cert=folder() / "c", key=folder() / "k", ca_cert=folder() / "ca")
    for path, data in zip(tls.files, (cert, key, ca_cert), strict=True):
        path.touch(mode=0o600)
        path.write_bytes(data)
    try:
        found = Renewal(tls)
    except Refusal as refusal:
        fair(refusal, RefusalReason.BAD_VALUE)
        return
    assert list(found.findings(0)) == []
