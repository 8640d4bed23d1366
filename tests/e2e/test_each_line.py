"""`run --each-line`: a task for every line, one exit code for all, and whoever waits hears what went wrong."""

import os
import signal

from support import procs
from support.wait import until

MARKED = 'echo "$TSCHED_ITEM" >> did; echo out; echo "err $TSCHED_ITEM" >&2; exit $((TSCHED_ITEM % 2))'


def numbers(count):
    return "".join(f"{number}\n" for number in range(1, count + 1)).encode()


def tasks(service):
    return service.json("list", "--limit", "0")


def test_every_line_is_a_task_and_its_words_are_its_own(service):
    items = ["a b", "", "it's $(touch X)", "-n\r", "last"]
    path = service.base / "the list"
    path.write_text("\n".join(items))
    printer = ["--", "sh", "-c", 'printf "%s|%s" "$1" "$TSCHED_ITEM"', "sh"]
    for words in ([*printer, "x{}y"], printer, ["--command", 'printf "%s|%s" x{}y "$TSCHED_ITEM"']):
        ended = service.cli("run", "--json", "--each-line", str(path), *words).json
        wanted = [f"x{item}y|{item}" if words is not printer else f"{item}|{item}" for item in items]
        assert [service.cli("logs", task["id"]).stdout.decode() for task in ended] == wanted
    assert not list(service.base.glob("X"))


def test_the_exit_code_is_for_all_and_failures_are_told_with_their_last_words(service):
    done = service.cli("run", "--each-line", "-", "--command", MARKED, input=numbers(24), check=False)
    assert (done.code, done.stdout) == (1, b"")
    said = done.stderr.decode().splitlines()
    told = [line for line in said if " failed: exit 1, its last lines:" in line]
    assert len(told) == 10
    item = told[0].partition("(")[2].partition(")")[0]
    assert said[said.index(told[0]) + 1] == f"    err {item}"
    assert said[-1].startswith("tsched: 2 more did not succeed (tsched list --state failed")
    assert sorted((service.base / "did").read_text().split(), key=int) == [str(number) for number in range(1, 25)]
    assert {task["name"] for task in tasks(service)} == {str(number) for number in range(1, 25)}
    quiet = service.cli("run", "--each-line", "-", "--", "true", input=numbers(3))
    assert (quiet.stdout, quiet.stderr) == (b"", b"")


def test_json_is_one_list_in_the_order_of_the_lines(service):
    done = service.cli(
        "run", "--json", "--each-line", "-", "--command", "sleep 0.{}; exit {}", input=b"3\n0\n1\n", check=False
    )
    assert (done.code, done.stderr) == (1, b"")
    assert [task["exit_code"] for task in done.json] == [3, 0, 1]
    assert service.cli("run", "--json", "--each-line", "-", "--", "x", input=b"").json == []


def test_detached_it_prints_the_ids_in_the_order_of_the_lines(service):
    done = service.cli(
        "run", "-d", "--queue", "q", "--env", "E=1", "--each-line", "-", "--", "test", input=b"a\nb\n", timeout_s=20
    )
    first, second = done.stdout.decode().split()
    assert int(first) < int(second)
    assert service.cli("wait", first, second, "--json").lines
    shown = [service.task(first), service.task(second)]
    assert [(task["argv"], task["queue"]) for task in shown] == [(["test", "a"], "q"), (["test", "b"], "q")]
    held = service.cli("run", "-d", "--hold", "--each-line", "-", "--", "true", input=b"a\n")
    assert b"tsched release" in held.stderr
    assert service.task(held.word)["state"] == "held"
    service.cli("release", held.word)
    service.cli("wait", held.word)


def test_an_empty_list_is_nothing_to_do(service):
    done = service.cli("run", "--each-line", "/dev/null", "--", "false")
    assert (done.stdout, done.stderr) == (b"", b"tsched: the list is empty: nothing to do\n")
    assert tasks(service) == []


def test_ctrl_c_asks_all_to_stop_and_once_more_kills_all(service):
    line = "trap '' TERM INT; echo up >> up; sleep 600; sleep 600"
    (service.base / "list").write_bytes(numbers(30))
    process = service.spawn("run", "--each-line", "list", "--grace", "1h", "--command", line)
    until((service.base / "up").exists)
    process.send_signal(signal.SIGINT)
    said = process.stderr.readline()
    if said.startswith(b"tsched: waiting to hear"):  # the first ran before its submitter was answered
        said = process.stderr.readline()
    assert said == b"tsched: asking 30 tasks to stop; once more kills them\n"
    process.send_signal(signal.SIGINT)
    assert process.wait(20) == 1
    assert b"30 did not succeed" in process.stderr.read()
    assert {task["state"] for task in tasks(service)} == {"cancelled"}
    assert not [each for each in procs.ours() if each.command == "sleep 600"]


def test_waiting_goes_on_over_the_supervisors_death(service):
    (service.base / "list").write_bytes(numbers(3))
    process = service.spawn(
        "run", "--each-line", "list", "--command", "echo {} >> did; until [ -e go ]; do sleep 0.05; done"
    )
    until((service.base / "did").exists)
    service.json("list")  # the first may have run before its submitter was answered, and not before another was
    service.kill9()
    assert b"tasks go on" in process.stderr.readline()
    (service.base / "go").touch()
    service.start()
    assert process.wait(30) == 0
    assert len((service.base / "did").read_text().split()) == 3


def test_those_who_waited_are_told_why_and_what_was_said_last(service):
    line = "seq 30; seq 30 | sed 's/$/ \\x1b[31m/' >&2; exit 3"
    failed = service.cli("run", "-d", "--command", line).word
    done = service.cli("wait", failed, check=False)
    assert (done.code, done.stdout.decode()) == (3, f"{failed} failed exit 3\n")
    assert done.stderr.decode().splitlines() == [
        f"tsched: task {failed} failed: exit 3, its last lines:",
        *(f"    {number} \\x1b[31m" for number in range(21, 31)),
    ]
    assert service.cli("wait", failed, "--json", check=False).stderr == b""
    silent = service.cli("run", "-d", "--", "no-such-program").word
    done = service.cli("wait", silent, failed, check=False)
    assert done.code == 1
    assert f"task {silent} failed (not_found): ".encode() in done.stderr


# What `run` and `schedule` take besides.


def test_a_lone_dash_takes_a_script_from_stdin(service):
    task = service.cli("schedule", "-", "--in", "0", input=b"cd /\npwd\n").word
    service.cli("wait", task)
    assert service.cli("logs", task).text == "/\n"
    for words, data, hint in (
        (["-"], b"", b"empty"),
        (["-", "--command", "x"], b"x", b"give one of them"),
        (["-", "x"], b"x", b""),
    ):
        refused = service.cli("schedule", *words, input=data, check=False)
        assert (refused.code, refused.stdout) == (2, b"")
        assert hint in refused.stderr


def test_variables_come_from_files_and_what_is_typed_wins(service):
    (service.base / "one").write_text("A=1\nB=1\nC='1 1'\n")
    (service.base / "two").write_text("export B=2\nA=2\n")
    words = ["--env-file", "one", "--env", "A=3", "--env-file", "two", "--command", 'echo "$A $B $C"']
    assert service.cli("run", *words).text == "3 2 1 1\n"
    (service.base / "two").write_text("# fine\nB\n")
    refused = service.cli("run", *words, check=False)
    assert (refused.code, refused.stdout) == (2, b"")
    assert b"'two', line 2: " in refused.stderr


def test_a_relative_time_asked_for_again_is_the_same_submission(service):
    words = ["schedule", "--id", "x", "--command", "true", "--at"]
    service.cli(*words, "in 10 minutes")
    assert service.cli(*words, "now + 10 min").word == "x"
    assert service.cli(*words, "now + 11 min", check=False).code == 1
    assert service.cli("schedule", "--hold", "--command", "true").stderr.count(b"is held") == 1


def test_a_line_for_the_shell_given_as_a_program_gets_a_hint(service):
    done = service.cli("run", "--", "echo a | tr a b", check=False)
    assert done.code == 127
    assert b"tsched run --command 'echo a | tr a b'" in done.stderr
    done = service.cli("run", "echo a | tr a b", check=False)
    assert done.code == 2
    assert b"tsched run --command 'echo a | tr a b'" in done.stderr


def test_a_command_typed_at_a_terminal_is_asked_for(service):
    ours, theirs = os.openpty()
    process = service.spawn("schedule", "-", stdin=theirs)
    os.close(theirs)
    assert b"reading the command; end with Ctrl-D" in process.stderr.readline()
    os.write(ours, b"echo typed\n\x04")
    assert process.wait(20) == 0
    task = process.stdout.read().decode().strip()
    service.cli("wait", task)
    assert service.cli("logs", task).text == "typed\n"
    os.close(ours)
