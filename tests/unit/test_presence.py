"""Who holds a lock is told without taking it, and who is to come back is waited for as long as it is held."""

import os
import socket
import threading

import pytest

from support.wait import until
from tsched.proto import presence
from tsched.supervisor.lock import Lock


@pytest.fixture
def lock(tmp_path):
    made = Lock(tmp_path / "s.lock", "taken", told="/run/s\n/run/link")
    yield made
    made.close()


def test_the_holder_is_named_with_where_it_listens(lock):
    assert presence.holder(lock.path) == (os.getpid(), "/run/s")


def test_a_lock_left_by_a_dead_process_or_by_one_that_let_go_is_held_by_nobody(lock, tmp_path):
    lock.close()
    assert presence.holder(lock.path) is None
    (tmp_path / "other.lock").write_text(f"{os.getpid()}\n")
    assert presence.holder(tmp_path / "other.lock") is None
    (tmp_path / "odd.lock").write_bytes(b"\xff\xfe" * 10_000)
    assert presence.holder(tmp_path / "odd.lock") is None
    assert presence.holder(tmp_path / "absent.lock") is None


def test_a_socket_that_comes_back_is_waited_for(lock, tmp_path):
    came = []
    path = tmp_path / "s"
    waiting = threading.Thread(target=lambda: came.append(presence.await_return(path, [lock.path], 20)))
    waiting.start()
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))
        assert not came
        listener.listen()
        until(lambda: came == [True])
    waiting.join()


def test_nobody_is_waited_for_where_nobody_holds_the_lock_or_for_too_long(lock, tmp_path):
    assert not presence.await_return(tmp_path / "s", [lock.path], 0.05)
    lock.close()
    assert not presence.await_return(tmp_path / "s", [lock.path], 60)


def test_a_lock_whose_file_was_removed_counts_no_more_and_can_be_taken_anew(lock):
    lock.path.unlink()
    assert not lock.stands()
    lock.renew()
    assert lock.stands()
    assert presence.holder(lock.path) == (os.getpid(), "/run/s")


def test_a_lock_that_is_kept_from_us_is_waited_for_a_moment(tmp_path, monkeypatch):
    lock = tmp_path / "s.lock"
    lock.touch()
    monkeypatch.setattr(presence, "HIDDEN_S", 0.05)
    monkeypatch.setattr(presence.os, "access", lambda *_: False)
    looks = []
    monkeypatch.setattr(presence, "accepts", lambda path: looks.append(path) or False)
    assert not presence.await_return(tmp_path / "s", [lock], 30.0)
    assert len(looks) > 2
    lock.unlink()
    looks.clear()
    assert not presence.await_return(tmp_path / "s", [lock], 30.0)
    assert len(looks) == 2
