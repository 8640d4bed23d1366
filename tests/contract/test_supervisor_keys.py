"""What prints the key is somebody's own program: whatever it does is told by name, and costs neither memory nor time."""

from __future__ import annotations

import pytest

from tsched.proto.errors import Refusal, RefusalReason
from tsched.store.ring import Key
from tsched.supervisor.keys import Source

KEY = Key.make()
WRONG = {
    "cat /dev/zero": "prints more than 65536 bytes",
    "echo secret >&2; exit 3": "failed with code 3",
    "kill -9 $$": "failed with code -9",
    "true": "holds no key",
    "echo secret": "line 1 of key_command is no key",
    "no-such-program": "failed with code 127",
}


def said(command: str) -> Source:
    return Source(origin="key_command", command=command)


def test_what_it_prints_is_the_key_whatever_it_says_beside_and_leaves_behind() -> None:
    ring = said(f"echo warning >&2; (sleep 600 > /dev/null) & echo {KEY.text}").read()
    assert ring is not None
    assert ring.newest == KEY


@pytest.mark.parametrize("command", WRONG)
def test_what_is_no_key_is_refused_by_name_and_not_shown(command: str) -> None:
    with pytest.raises(Refusal) as caught:
        said(command).read()
    assert caught.value.reason is RefusalReason.KEY_UNUSABLE
    assert WRONG[command] in caught.value.message
    assert "secret" not in caught.value.message


def test_what_does_not_end_is_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tsched.supervisor.keys.COMMAND_S", 0.2)
    with pytest.raises(Refusal, match="did not end within"):
        said("sleep 600").read()
