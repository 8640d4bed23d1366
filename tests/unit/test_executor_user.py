"""Becoming a user: what programs know them by, and that there is no way back."""

import os
import pwd
import subprocess
import sys

import pytest

from tsched.executor.user import User, UserError

ALICE = User(1001, 1001, "alice", "/home/alice", "/bin/zsh", frozenset({1001}))
BECOME = """
import os
from tsched.executor.user import User, UserError
os.environ |= {"XDG_RUNTIME_DIR": "/run/user/0", "TMPDIR": "/root/tmp"}
user = User.of_uid(%d)
user.become()
print(*os.getresuid(), *os.getresgid(), os.environ["USER"], {"XDG_RUNTIME_DIR", "TMPDIR"} & set(os.environ) or "none")
for attempt in (lambda: os.setuid(0), lambda: os.setgroups([0]), user.become):
    try:
        attempt()
    except (PermissionError, UserError):
        print("refused")
"""


def test_home_and_shell_are_theirs_unless_something_else_was_said_and_the_name_always_is():
    told = ALICE.environment({"HOME": "/tmp/h", "USER": "root", "LOGNAME": "root", "X": "1"})
    assert told == {"HOME": "/tmp/h", "SHELL": "/bin/zsh", "USER": "alice", "LOGNAME": "alice", "X": "1"}
    assert ALICE._replace(shell="").environment({})["SHELL"] == "/bin/sh"


def test_who_is_not_known_is_named():
    taken = {entry.pw_uid for entry in pwd.getpwall()}
    unknown = next(uid for uid in range(54_321, 60_000) if uid not in taken)
    with pytest.raises(UserError, match=f"user {unknown} is not known"):
        User.of_uid(unknown)
    assert not ALICE._replace(uid=unknown).unchanged
    assert User.of_uid(os.getuid()).unchanged


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")
def test_there_is_no_way_back():
    nobody = pwd.getpwnam("nobody")
    done = subprocess.run(
        [sys.executable, "-c", BECOME % nobody.pw_uid], check=True, capture_output=True, text=True, cwd="/"
    )
    ids = [str(each) for each in (*[nobody.pw_uid] * 3, *[nobody.pw_gid] * 3)]
    assert done.stdout.split() == [*ids, "nobody", "none", "refused", "refused", "refused"]
