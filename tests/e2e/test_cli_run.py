"""`tsched run` behaves as the command itself would: its bytes, its exit code, its Ctrl-C; and says what is not plain."""

import json
import os
import signal
import subprocess
import sys

from support import procs
from support.service import TSCHED
from support.wait import until

IDLE = b"nobody writes to stdin"


def shell(service, line, **options):
    """What a shell makes of a line in which $T is tsched."""
    env = {**service.env, "T": str(TSCHED)}
    return subprocess.run(["bash", "-c", line], check=False, capture_output=True, env=env, timeout=60, **options)


def the_task(service):
    [task] = service.json("list")
    return service.task(task["id"])


def test_the_exit_code_is_the_commands_own_and_only_a_plain_exit_is_silent(service):
    for command, code, notice in [
        (["true"], 0, b""),
        (["sh", "-c", "exit 7"], 7, b""),
        (["sh", "-c", "kill -9 $$"], 137, b"SIGKILL"),
        (["no-such-program"], 127, b"not found"),
        (["/etc/passwd"], 126, b"not executable"),
        (["--timeout", "0.2s", "--", "sleep", "600"], 143, b"timeout"),
    ]:
        done = service.cli("run", *([] if "--" in command else ["--"]), *command, check=False)
        assert done.code == code, str(done)
        assert notice in done.stderr
        assert bool(done.stderr) == bool(notice)


def test_both_streams_pass_byte_for_byte(service):
    data = os.urandom(300_000) + bytes(range(256)) * 100
    path = service.base / "data"
    path.write_bytes(data)
    done = service.cli("run", "--command", f"cat {path}; tac -s x {path} >&2; cat {path} >&2")
    assert done.stdout == data
    assert done.stderr.endswith(data)


def test_words_stay_words_and_a_line_goes_to_the_shell(service):
    printer = "import sys; print(sys.argv[1:])"
    words = ["a b", "", "ä'\"$HOME", "-x", "--", "*"]
    done = service.cli("run", "--", sys.executable, "-c", printer, *words)
    assert done.text == f"{words}\n"
    assert service.cli("run", "--command", 'echo "a b" | tr a x').text == "x b\n"


def test_the_surroundings_come_along(service):
    folder = service.base / "in here"
    folder.mkdir()
    line = 'pwd; umask; echo "$MINE|$LANG|$SECRET|$TSCHED_TASK_ID|$TSCHED_SOCKET"'
    env = {"SECRET": "no", "LANG": "C.UTF-8"}
    done = service.cli(
        "run", "--umask", "027", "--env", "MINE=a=b\nc", "--command", line, "--id", "me", cwd=folder, env=env
    )
    assert done.text == f"{folder}\n0027\na=b\nc|C.UTF-8||me|{service.socket}\n"
    assert service.cli("run", "--cwd", "..", "--", "pwd", cwd=folder).word == str(service.base)


# Standard input.


def test_what_is_piped_or_redirected_to_it_reaches_the_command(service):
    data = os.urandom(100_000)
    assert service.cli("run", "--", "cat", input=data).stdout == data
    (service.base / "file").write_bytes(data)
    assert shell(service, f"$T run -- cat < {service.base}/file").stdout == data
    assert service.cli("run", "--stdin", f"{service.base}/file", "--", "cat").stdout == data
    assert shell(service, "(sleep 1; echo late) | $T run -- cat").stdout == b"late\n"
    assert shell(service, "echo line | $T run --stdin - -- cat").stdout == b"line\n"


def test_devnull_means_none(service):
    done = service.cli("run", "--", "cat")
    assert (done.stdout, done.stderr) == (b"", b"")


def test_an_idle_pipe_that_was_inherited_is_not_waited_for(service):
    process = service.spawn("run", "--", "cat")
    assert process.wait(20) == 0
    assert IDLE in process.stderr.read()


def test_too_much_input_is_refused_with_a_remedy(service):
    done = shell(service, "head -c 5000000 /dev/zero | $T run -- cat")
    assert done.returncode == 2
    assert b"let the command read" in done.stderr
    assert service.json("list") == []


# Being interrupted.


def started(service, *words):
    process = service.spawn("run", *words, stdin=subprocess.DEVNULL)
    assert process.stdout.readline() == b"up\n"
    return process


def test_the_first_ctrl_c_asks_the_task_to_stop(service):
    process = started(service, "--", "sh", "-c", "trap 'echo bye; exit 3' TERM; echo up; while :; do sleep 0.1; done")
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=20)
    assert (process.returncode, out) == (3, b"bye\n")
    assert b"asked task" in err
    assert the_task(service)["state"] == "cancelled"


def test_the_second_ctrl_c_kills_it(service):
    process = started(service, "--grace", "1h", "--", "sh", "-c", "trap '' TERM INT; echo up; sleep 600; sleep 600")
    process.send_signal(signal.SIGINT)
    assert b"once more kills it" in process.stderr.readline()
    process.send_signal(signal.SIGINT)
    assert process.wait(20) == 137
    assert not [each for each in procs.ours() if each.command == "sleep 600"]


def test_a_reader_that_leaves_ends_the_command_as_in_a_pipe(service):
    done = shell(service, "set -o pipefail; $T run -- yes < /dev/null | head -1")
    assert (done.stdout, done.returncode) == (b"y\n", 141)
    until(lambda: the_task(service)["state"] == "cancelled")


def test_a_stdout_that_takes_nothing_is_told_and_the_task_goes_on(service):
    done = shell(service, "$T run --id t -- sh -c 'echo kept; exit 4' < /dev/null > /dev/full")
    assert done.returncode == 125
    assert b"No space left" in done.stderr
    assert service.cli("wait", "t", check=False).code == 4
    assert service.cli("logs", "t").text == "kept\n"


def test_as_json_a_stdout_that_takes_nothing_is_told_with_the_task_that_goes_on(service):
    done = shell(service, "$T run --json --id t -- sh -c 'echo kept; exit 4' < /dev/null > /dev/full")
    assert done.returncode == 125
    assert b"task t goes on" in done.stderr
    assert service.cli("wait", "t", check=False).code == 4


def test_a_closed_stdout_is_as_devnull(service):
    done = shell(service, "$T run -- echo x >&- 2>&- <&-; echo $?")
    assert (done.stdout, done.stderr) == (b"0\n", b"")


# Other forms.


def test_detached_it_prints_the_id_only(service):
    done = service.cli("run", "-d", "--", "sh", "-c", "echo x; exit 3")
    assert done.stderr == b""
    assert service.cli("wait", done.word, check=False).code == 3


def test_as_json_every_event_is_a_line(service):
    done = service.cli("run", "--json", "--", "sh", "-c", r"echo hi; printf '\377'; exit 3", check=False)
    first, *pieces, last = done.lines
    assert done.code == 3
    assert first["submitted"]["existed"] is False
    assert all(set(piece) == {"output"} for piece in pieces)
    assert (last["ended"]["state"], last["ended"]["exit_code"]) == ("failed", 3)


def test_the_same_submission_again_is_the_same_task_and_another_is_refused(service, witness):
    command = witness.command("once", "echo out; exit 5")
    for _ in range(2):
        done = service.cli("run", "--id", "mine", "--command", command, check=False)
        assert (done.code, done.text) == (5, "out\n")
    assert len(witness.starts("once")) == 1
    refused = service.cli("run", "--id", "mine", "--command", "echo other", "--json", check=False)
    assert refused.code == 1
    assert refused.json["error"]["reason"] == "id_taken"


def test_a_run_outlives_its_supervisor_and_misses_no_byte(service):
    line = "for n in $(seq 60); do echo line $n; echo error $n >&2; sleep 0.05; done; exit 6"
    process = service.spawn("run", "--command", line, stdin=subprocess.DEVNULL)
    assert process.stdout.readline() == b"line 1\n"
    service.restart()
    out, err = process.communicate(timeout=60)
    assert process.returncode == 6
    assert out == b"".join(b"line %d\n" % n for n in range(2, 61))
    notices = [line for line in err.splitlines(keepends=True) if line.startswith(b"tsched:")]
    assert b"".join(err.splitlines(keepends=True)).replace(b"".join(notices), b"") == b"".join(
        b"error %d\n" % n for n in range(1, 61)
    )
    assert len(notices) == 1


def test_what_runs_when_the_service_stops_is_told_to_those_who_follow(service):
    process = started(service, "--", "sh", "-c", "echo up; exec sleep 600")
    service.cli("down", "--drain", "0.1s")
    _, err = process.communicate(timeout=20)
    assert process.returncode == 143
    assert b"shutdown" in err


def test_inside_a_task_it_talks_to_the_same_service(service):
    line = f"{TSCHED} run --json -- sh -c 'exit 3' < /dev/null"
    done = service.cli("run", "--command", line, check=False)
    assert done.code == 3
    assert json.loads(done.stdout.splitlines()[-1])["ended"]["state"] == "failed"
    assert len(service.json("list")) == 2
