"""The state folder and the sockets: one supervisor each, and nothing of anybody else's is touched."""

import os
import socket
import stat

import pytest

from tsched.proto.errors import Refusal, RefusalReason
from tsched.supervisor import folder


def reason_of(call, path):
    with pytest.raises(Refusal) as caught:
        call(path)
    assert str(path) in caught.value.message
    return caught.value.reason


def test_a_missing_state_folder_is_made_for_this_user_alone(tmp_path):
    path = tmp_path / "deep" / "state"
    folder.prepare_state_dir(path).close()
    assert stat.S_IMODE(path.stat().st_mode) == 0o700


def test_the_second_on_a_state_folder_is_refused_and_told_who_is_there(tmp_path):
    held = folder.prepare_state_dir(tmp_path / "state")
    with pytest.raises(Refusal, match=f"pid {os.getpid()}"):
        folder.prepare_state_dir(tmp_path / "state")
    held.close()
    folder.prepare_state_dir(tmp_path / "state").close()


def test_a_state_folder_that_others_may_write_or_that_is_none_is_refused(tmp_path):
    (tmp_path / "open").mkdir()
    (tmp_path / "open").chmod(0o777)
    (tmp_path / "file").touch()
    (tmp_path / "link").symlink_to(tmp_path / "elsewhere")
    for name in ("open", "file", "link"):
        assert reason_of(folder.prepare_state_dir, tmp_path / name) == RefusalReason.STATE_DIR_UNUSABLE


def test_a_dead_socket_is_cleared_away(tmp_path):
    path = tmp_path / "s.sock"
    dead = socket.socket(socket.AF_UNIX)
    dead.bind(str(path))
    dead.close()
    folder.prepare_socket(path).close()
    assert not path.exists()


def test_a_regular_file_at_the_socket_path_stays_and_is_named(tmp_path):
    path = tmp_path / "precious"
    path.write_text("mine")
    assert reason_of(folder.prepare_socket, path) == RefusalReason.SOCKET_UNUSABLE
    assert path.read_text() == "mine"


def test_a_symlink_at_the_socket_path_is_not_followed(tmp_path):
    (tmp_path / "target").write_text("mine")
    (tmp_path / "link").symlink_to(tmp_path / "target")
    assert reason_of(folder.prepare_socket, tmp_path / "link") == RefusalReason.SOCKET_UNUSABLE
    assert (tmp_path / "target").read_text() == "mine"


def test_a_socket_path_of_108_bytes_is_refused_and_one_of_107_is_not(tmp_path):
    short = tmp_path / ("s" * (107 - len(str(tmp_path)) - 1))
    assert len(str(short)) == 107
    folder.prepare_socket(short).close()
    assert reason_of(folder.prepare_socket, tmp_path / (short.name + "s")) == RefusalReason.SOCKET_UNUSABLE


def test_the_second_on_a_socket_is_refused(tmp_path):
    held = folder.prepare_socket(tmp_path / "s.sock")
    assert reason_of(folder.prepare_socket, tmp_path / "s.sock") == RefusalReason.ALREADY_RUNNING
    held.close()
