"""Whatever is typed, the answer is one line that says what was wrong with it, with exit code 2, and nothing happened."""

import json
import subprocess
import sys

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from support.service import TSCHED
from tsched.cli import main

CASES = [
    (["lst"], "did you mean list?"),
    (["frobnicate"], "tsched --help"),
    (["list", "--sate", "ready"], "did you mean --state?"),
    (["list", "--state", "redy"], "did you mean ready?"),
    (["list", "--limit", "-1"], "the number"),
    (["list", "--limit", "many"], "not a number"),
    (["list", "--", "x"], "takes no command"),
    (["run"], "no command"),
    (["run", "--"], "empty"),
    (["run", "ls", "-l"], "tsched run -- ls -l"),
    (["run", "--command", "a", "--", "b"], "give one of them"),
    (["run", "--", "a\udcffb"], "not valid UTF-8"),
    (["run", "--env", "A", "--", "x"], "NAME=VALUE"),
    (["run", "--env", "TSCHED_TASK_ID=1", "--", "x"], "set by tsched"),
    (["run", "--cwd", "/no/such/folder", "--", "x"], "not a folder"),
    (["run", "--stdin", "/no/such/file", "--", "x"], "cannot read"),
    (["run", "--umask", "9", "--", "x"], "octal"),
    (["run", "--umask", "1777", "--", "x"], "umask"),
    (["run", "--priority", "1e9", "--", "x"], "whole number"),
    (["run", "--priority", "99999999999", "--", "x"], "priority"),
    (["run", "--on-lost", "maybe", "--", "x"], "invalid choice"),
    (["run", "--timeout", "0", "--", "x"], "timeout"),
    (["run", "--grace", "-1", "--", "x"], "length of time"),
    (["run", "--name", "n" * 2000, "--", "x"], "not a name"),
    (["schedule", "--command", ""], "empty"),
    (["schedule", "--command", "x", "--id", "a/b"], "not an id"),
    (["schedule", "--command", "x", "--id", "a\nb"], "not an id"),
    (["schedule", "--command", "x", "--id", "a" * 10_000], "10000 characters"),
    (["schedule", "--command", "x", "--id", "17"], "digits only"),
    (["schedule", "--command", "x", "--at", "4/1"], "more than one way"),
    (["schedule", "--command", "x", "--at", "yesterday 9:00"], "past"),
    (["schedule", "--command", "x", "--at", "9999-01-01 0:00"], "100 years"),
    (["schedule", "--command", "x", "--at", "9:00", "--tz", "Mars/Olympus"], "no such time zone"),
    (["schedule", "--command", "x", "--at", "9:00", "--in", "1h"], "give one of them"),
    (["schedule", "--command", "x", "--in", "-5"], "length of time"),
    (["schedule", "--command", "x", "--in", "nan"], "length of time"),
    (["schedule", "--command", "x", "--in", "1e300"], "length of time"),
    (["schedule", "--command", "x", "--in", "9999999d"], "the delay"),
    (["show"], "which task?"),
    (["show", "a", "--id", "b"], "two ids"),
    (["show", "a/b"], "not an id"),
    (["wait"], "which tasks?"),
    (["wait", "1", "--timeout", "soon"], "length of time"),
    (["modify", "1"], "nothing to change"),
    (["config"], "check|reload"),
    (["service"], "install|uninstall|status"),
    (["completion"], "bash|zsh|fish"),
    (["run", "--in", "5m", "--", "x"], "tsched schedule"),
    (["run", "--at=9:00", "--", "x"], "tsched schedule"),
    (["run", "a | b"], "tsched run --command 'a | b'"),
    (["run", "--queue", "a b", "--", "x"], "not a queue's name"),
    (["run", "--env-file", "/no/such/file", "--", "x"], "cannot read"),
    (["schedule", "-", "--command", "x"], "give one of them"),
    (["schedule", "-", "-"], "unrecognized"),
    (["schedule", "--command", "x", "--at", "in 99999999999 days"], "100 years"),
    (["completion", "tcsh"], "invalid choice"),
    (["logs", "1", "--stream", "both"], "invalid choice"),
    (["--socket"], "expected one argument"),
    (["status", "--socket", "/tmp/" + "s" * 103], "107"),
]
IDS = [" ".join(words)[:50].encode("ascii", "backslashreplace").decode() for words, _ in CASES]


@pytest.fixture(scope="module", autouse=True)
def _nobody(tmp_path_factory):
    """No supervisor, and none may be started: a mistake that got through would show as exit code 69."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TSCHED_SOCKET", str(tmp_path_factory.mktemp("nobody") / "s"))
        yield


def said(capfd, *words):
    code = main.run(words)
    out, err = capfd.readouterr()
    return code, out, err


@pytest.mark.parametrize(("words", "hint"), CASES, ids=IDS)
def test_a_mistake_is_told_in_one_line_and_as_json(words, hint, capfd):
    code, out, err = said(capfd, *words)
    assert (code, out) == (2, "")
    assert err.startswith("tsched: ")
    assert err.count("\n") == 1
    assert hint in err
    place = words.index("--") if "--" in words else len(words)
    code, out, err = said(capfd, *words[:place], "--json", *words[place:])
    assert (code, err) == (2, "")
    assert json.loads(out)["error"].keys() == {"reason", "message", "hint"}


def test_a_folder_that_is_gone_is_told(tmp_path):
    gone = tmp_path / "gone"
    gone.mkdir()
    line = f'cd "{gone}" && rmdir "{gone}" && for verb in "run -- true" "run --cwd x -- true" "list --socket s"; do "{TSCHED}" $verb; echo $?; done'
    done = subprocess.run(["sh", "-c", line], check=False, capture_output=True, stdin=subprocess.DEVNULL)
    assert done.stdout == b"2\n2\n2\n"
    assert done.stderr.count(b"this folder is gone") == 3


def test_a_command_on_stdin_is_checked_too(tmp_path):
    for data, hint in ((b"a\0b", b"NUL"), (b"\xff", b"UTF-8"), (b"x" * 140_000, b"140000"), (b"", b"empty")):
        done = subprocess.run(
            [TSCHED, "schedule", "--command", "-"], input=data, check=False, capture_output=True, cwd=tmp_path
        )
        assert done.returncode == 2
        assert hint in done.stderr


def test_a_file_in_the_sockets_place_is_told(tmp_path, capfd):
    path = tmp_path / "file"
    path.touch()
    code, _, err = said(capfd, "list", "--socket", str(path))
    assert code == 2
    assert "is not a socket" in err


@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(
        st.sampled_from([*main.VERBS, "--json", "--id", "--at", "--in", "--", "--command", "-d", "--tz", "--limit"])
        | st.text(max_size=8).filter(lambda text: text not in ("-h", "--help")),
        max_size=6,
    ).filter(lambda words: "up" not in words and "-" not in words)
)
def test_nothing_that_is_typed_shows_a_traceback(capfd, words):
    code, out, err = said(capfd, *words)
    assert code in (0, 2, 69), (words, err)
    assert "Traceback" not in out + err
    assert "tsched failed" not in out + err


def test_help_loads_neither_grpc_nor_anything_heavy():
    for words in (["--help"], ["run", "--help"], ["list", "--help"], ["lst"], ["schedule", "--at", "4/1"]):
        code = f"import sys; from tsched.cli.main import run; run({words!r}); print(*sys.modules, file=sys.stderr)"
        done = subprocess.run([sys.executable, "-P", "-c", code], check=True, capture_output=True, text=True)
        loaded = {name.partition(".")[0] for name in done.stderr.split()}
        assert not loaded & {"grpc", "google", "structlog", "sqlite3", "sqlite_utils", "dateutil", "cryptography"}


def test_help_loads_nothing_it_does_not_need():
    code = "import sys; from tsched.cli.main import run; run(['list', '--help']); print(*sys.modules, file=sys.stderr)"
    done = subprocess.run([sys.executable, "-P", "-c", code], check=True, capture_output=True, text=True)
    needless = {"dataclasses", "inspect", "shutil", "difflib", "zoneinfo", "json", "subprocess", "tqdm", "shtab"}
    assert not set(done.stderr.split()) & needless


def test_a_verb_loads_no_more_than_the_client_needs():
    code = "import sys, tsched.cli.look, tsched.client.following; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-P", "-c", code], check=True, capture_output=True, text=True)
    loaded = {name.partition(".")[0] for name in done.stdout.split()}
    assert not loaded & {"structlog", "sqlite3", "sqlite_utils", "dateutil", "cryptography", "psutil", "tqdm", "shtab"}


def test_every_verb_has_help(capfd):
    for verb in main.VERBS:
        code, out, _ = said(capfd, verb, "--help")
        assert code == 0
        assert f"tsched {verb}" in out
    assert said(capfd, "--version")[1].startswith("tsched ")
