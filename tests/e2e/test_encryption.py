"""What is stored tells nobody anything who lacks the key, runs only as it was stored, and comes under a new key online."""

from __future__ import annotations

import os
import shutil
import signal
import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING, Any

import psutil
import pytest

from support.service import Service
from support.wait import until
from tsched.store.cipher import PlainCipher
from tsched.store.ring import Key

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

MARK = "Xyzzy4711"
OFF = '[store]\nencryption = "off"\n'


def files_with(service: Service, word: str) -> list[str]:
    """All files that the service wrote and that hold the word."""
    written = [path for path in service.state_dir.rglob("*") if path.is_file()] + [service.log_path]
    return [str(path) for path in written if word.encode() in path.read_bytes()]


def change(service: Service, name: str, statement: str, *values: Any) -> None:
    """Somebody who has no key changes a database, while nobody has it open."""
    service.damaged = True
    with closing(sqlite3.connect(service.state_dir / name, isolation_level=None)) as db:
        db.execute(statement, values)


def asked(service: Service, name: str, query: str) -> list[Any]:
    with closing(sqlite3.connect(service.state_dir / name)) as db:
        return db.execute(query).fetchall()


def refused_start(service: Service) -> str:
    """What a service that will not start says."""
    done = service.cli("up", "-d", check=False)
    assert done.code == 2, str(done)
    return done.stderr.decode()


def with_much(service: Service) -> None:
    """Everything of a task that may be a secret."""
    (service.base / MARK).mkdir()
    line = f"echo {MARK}; echo {MARK} >&2; cat"
    service.cli("run", "--env", f"PASSWORD={MARK}", "--command", line, input=MARK.encode())
    service.cli("run", "--", "echo", MARK)
    service.cli("run", "-d", "--cwd", MARK, "--", "pwd")
    service.cli("call", "echo", MARK)
    service.cli("call", "fail", MARK, check=False)
    service.cli("schedule", "--in", "1h", "--command", f"mail {MARK}")
    service.cli("wait", "3")


def test_nothing_of_what_is_stored_or_logged_shows_what_was_asked_for_or_written(service):
    with_much(service)
    assert MARK in service.cli("logs", "1").text
    assert MARK in service.cli("list").text
    assert files_with(service, MARK) == []
    service.kill9()
    assert files_with(service, MARK) == []
    service.start()
    service.cli("run", "-d", "--", "sleep", "0")
    assert service.cli("result", "4", "--json").json["result"] == MARK
    assert files_with(service, MARK) == []


def test_without_encryption_the_same_shows_it_and_the_doctor_says_so(make_service):
    service = make_service(OFF)
    with_much(service)
    assert len(files_with(service, MARK)) > 1
    [told] = [each for each in service.doctor()["findings"] if each["object"] == "encryption"]
    assert "stored in clear" in told["message"]
    assert service.json("status")["encryption"] == "off"
    assert not (service.state_dir / "key").exists()
    refused = service.cli("key", "rotate", check=False)
    assert (refused.code, b"encryption is off" in refused.stderr) == (1, True)


def test_swapped_replayed_and_planted_commands_are_never_run(service, witness):
    swapped = [service.cli("schedule", "--in", "1h", "--command", witness.command(f"s{n}")).word for n in (1, 2)]
    replayed = service.cli("schedule", "--in", "1h", "--command", witness.command("old")).word
    planted = service.cli("schedule", "--in", "1h", "--command", witness.command("planted")).word
    good = service.cli("schedule", "--in", "1h", "--command", witness.command("good")).word
    rows = dict(asked(service, "tsched.db", "SELECT task, sealed FROM payloads"))
    service.cli("modify", replayed, "--command", witness.command("new"))
    service.kill9()
    change(service, "tsched.db", "UPDATE payloads SET sealed = ? WHERE task = 1", rows[2])
    change(service, "tsched.db", "UPDATE payloads SET sealed = ? WHERE task = 2", rows[1])
    change(service, "tsched.db", "UPDATE payloads SET sealed = ? WHERE task = 3", rows[3])
    in_clear = PlainCipher().seal(b"\x0a\x00", table="payloads", row=4, column="sealed")
    change(service, "tsched.db", "UPDATE payloads SET sealed = ? WHERE task = 4", in_clear)
    change(service, "tsched.db", "UPDATE tasks SET due_at_us = created_at_us")
    service.start()
    assert service.cli("wait", good).code == 0
    for task in (*swapped, replayed, planted):
        assert service.cli("wait", task, check=False).code == 1
        assert service.task(task)["reason"] == "corrupt_record"
    assert {line.name for line in witness.lines()} == {"good"}


def test_output_that_was_tampered_with_is_refused_and_named_and_what_came_before_it_is_shown(service):
    service.cli("run", "--command", "echo one; sleep 0.1; echo two >&2; sleep 0.1; echo three")
    service.cli("run", "--", "echo", "other")
    service.kill9()
    [(other,)] = asked(service, "output.db", "SELECT data FROM chunks WHERE attempt_id = 2")
    change(service, "output.db", "UPDATE chunks SET data = ? WHERE attempt_id = 1 AND number = 2", other)
    service.start()
    done = service.cli("logs", "1", check=False)
    assert (done.code, done.stdout) == (125, b"one\n")
    assert b"the stored output is damaged (chunk 2" in done.stderr
    findings = service.cli("doctor", "--json", check=False).json["findings"]
    assert [each["message"] for each in findings if each["severity"] == "problem"] == [
        "1 chunks of its output are damaged"
    ]
    assert service.cli("logs", "2").text == "other\n"


@pytest.mark.parametrize("how", ["missing", "another", "readable by others", "a link"])
def test_without_its_own_key_a_store_is_refused_by_name_and_left_as_it_is(service, how):
    service.cli("run", "--", "echo", "kept")
    service.stop() if how == "another" else service.kill9()
    key, kept = service.state_dir / "key", service.base / "kept"
    shutil.copy2(key, kept)
    if how == "readable by others":
        key.chmod(0o644)
    else:
        key.unlink()
    if how == "another":
        key.write_text(Key.make().text)
        key.chmod(0o600)
    if how == "a link":
        key.symlink_to(kept)
    before = {path.name: path.read_bytes() for path in service.state_dir.glob("*.db*") if path.suffix != ".db-shm"}
    said = refused_start(service)
    assert str(key) in said
    assert before == {name: (service.state_dir / name).read_bytes() for name in before}
    assert key.exists() == (how != "missing")
    key.unlink(missing_ok=True)
    shutil.copy2(kept, key)
    service.start()
    assert service.cli("logs", "1").text == "kept\n"


def test_a_store_in_clear_is_not_taken_for_the_encrypted_one_whose_key_is_there(make_service):
    plain, service = make_service(OFF), make_service()
    plain.cli("schedule", "--in", "1h", "--command", "rm -rf ~")
    plain.kill9()
    service.stop()
    for path in service.state_dir.glob("*.db*"):
        path.unlink()
    for path in plain.state_dir.glob("*.db*"):
        shutil.copy2(path, service.state_dir)
    assert "is there, and tsched.db is not encrypted" in refused_start(service)
    for path in service.state_dir.glob("*.db*"):
        path.unlink()


def test_a_new_key_takes_over_online_and_the_old_one_opens_nothing_any_more(service):
    with_much(service)
    os.mkfifo(go := service.base / "go")
    running = service.spawn("run", "--command", f"echo begin; read line < {go}; echo $line")
    [old] = service.json("key", "status")["keys"]
    kept = (service.state_dir / "key").read_text()
    told = service.json("key", "rotate")
    assert (told["done"], told["damaged"]) == (True, 0)
    status = service.json("key", "status")
    assert status["keys"] == [told["key"]] != [old]
    assert set(status["fields"]) == {told["key"]}
    assert (status["fields_in_clear"], status["output_in_clear"], status["progress"]) == (0, False, None)
    assert files_with(service, kept.splitlines()[1]) == []
    assert MARK in service.cli("logs", "1").text
    assert service.cli("result", "4", "--json").json["result"] == MARK
    go.write_text("end\n")
    out, _ = running.communicate(timeout=30)
    assert out == b"begin\nend\n"
    service.restart()
    assert MARK in service.cli("logs", "1").text


def test_a_change_of_key_goes_on_wherever_it_was_killed(service):
    words = [f"word-{number}" for number in range(400)]
    service.cli("run", "--each-line", "-", "--", "echo", input="\n".join(words).encode())
    for delay in range(4):
        before = (service.state_dir / "key").read_bytes()
        rotating = service.spawn("key", "rotate")
        until(lambda before=before: (service.state_dir / "key").read_bytes() != before)
        for _ in range(delay):  # a little further each time
            service.cli("list", "--json", check=False)
        service.restart()
        rotating.wait(30)
        until(lambda: service.json("status")["encryption"] == "on")
        status = service.json("key", "status")
        assert len(status["keys"]) == 1
        assert set(status["fields"]) == set(status["keys"])
    for number in (0, 200, 399):
        assert service.cli("logs", str(number + 1)).text == f"{words[number]}\n"


def test_a_store_that_was_in_clear_is_sealed_while_a_task_of_that_time_goes_on_writing(make_service, tmp_path):
    service = make_service(OFF)
    with_much(service)
    go = tmp_path / "go"
    os.mkfifo(go)
    task = service.cli("run", "-d", "--command", f"echo {MARK}; read line < {go}; echo {MARK} $line").word
    until(lambda: MARK in service.cli("logs", task).text)
    (service.base / "config.toml").write_text("")
    service.signal(signal.SIGHUP)
    until(lambda: service.cli("status", "--json", check=False).json.get("encryption") == "on")
    assert files_with(service, MARK) == []
    go.write_text("again\n")
    service.cli("wait", task)
    assert service.cli("logs", task).text == f"{MARK}\n{MARK} again\n"
    assert files_with(service, MARK) == []
    assert MARK in service.cli("logs", "1").text
    same = service.json("schedule", "--id", "same", "--in", "1h", "--command", "true")
    assert service.json("schedule", "--id", "same", "--in", "1h", "--command", "true")["id"] == same["id"]


def test_a_store_may_go_back_to_clear_and_forgets_nothing_by_it(make_service):
    service = make_service('[store]\nencryption = "on"\n')
    with_much(service)
    service.cli("schedule", "--id", "same", "--in", "1h", "--command", "true")
    (service.base / "config.toml").write_text(OFF)
    service.cli("config", "reload")
    until(lambda: not (service.state_dir / "key").exists())
    assert MARK in service.cli("logs", "1").text
    service.cli("schedule", "--id", "same", "--in", "1h", "--command", "true")
    assert service.json("key", "status")["fields"] == {}
    service.restart()
    assert MARK in service.cli("logs", "1").text


def _by_command(service: Service, path: Path) -> None:
    (service.base / "config.toml").write_text(f"[store]\nkey_command = \"cat '{path}'\"\n")


def _by_credential(service: Service, path: Path) -> None:
    (service.base / "config.toml").write_text("")
    service.env["CREDENTIALS_DIRECTORY"] = str(path.parent)


@pytest.mark.parametrize("given", [_by_command, _by_credential], ids=["key_command", "credential"])
def test_keys_may_be_kept_elsewhere_and_are_then_changed_there(
    make_service: Callable[..., Service], given: Callable[[Service, Path], None], tmp_path: Path
) -> None:
    service = make_service(OFF)
    service.stop()
    shutil.rmtree(service.state_dir)
    path = tmp_path / "tsched.key"
    old, new = Key.make().text, Key.make().text
    path.write_text(old)
    path.chmod(0o600)
    given(service, path)
    service.start()
    service.cli("run", "--", "echo", MARK)
    assert not (service.state_dir / "key").exists()
    refused = service.cli("key", "rotate", check=False)
    assert (refused.code, b"holds no newer key" in refused.stderr) == (2, True)
    path.write_text(f"{new}\n{old}\n")
    told = service.json("key", "rotate")
    assert told["key"] == Key(new).id.hex()
    path.write_text(new)
    service.restart()
    assert service.cli("logs", "1").text == f"{MARK}\n"
    service.stop()
    path.write_text(old)
    assert "does not hold the key of tsched.db" in refused_start(service)
    path.write_text(new)
    env = {"CREDENTIALS_DIRECTORY": "/x"}
    service.start()
    assert "CREDENTIALS_DIRECTORY" not in service.cli("run", "--", "env", env=env).text


def test_no_executor_and_no_task_is_told_the_key(service):
    service.cli("run", "-d", "--command", "sleep 60")
    until(lambda: service.json("list")[0]["state"] == "running")
    key = (service.state_dir / "key").read_text().splitlines()[1]
    pids = [service.pid, *(each["pid"] for each in service.json("status")["executors"])]
    for pid in pids:
        for name in ("environ", "cmdline"):
            with open(f"/proc/{pid}/{name}", "rb") as file:
                assert key.encode() not in file.read()
        assert psutil.Process(pid).rlimit(psutil.RLIMIT_CORE)[0] == 0
    service.cli("cancel", "1")
