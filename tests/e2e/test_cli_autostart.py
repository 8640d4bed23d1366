"""A user's own command line starts the supervisor it needs, once, and never where another one was meant."""

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from support import procs
from support.service import TSCHED
from support.wait import until

VERBS = [["run", "--", "true"], ["schedule", "--command", "true"], ["list"], ["show", "1"], ["wait", "1"]]


class Home:
    """A user without a supervisor."""

    def __init__(self, base):
        self.base = base
        self.state_dir = base / "state"
        self.env = {"HOME": str(base), "PATH": os.environ["PATH"], "XDG_RUNTIME_DIR": str(base), "LANG": "C.UTF-8"}
        self.env["TSCHED_STATE_DIR"] = str(self.state_dir)

    def popen(self, *args, env=None, cwd=None):
        whole = {**self.env, **(env or {})}
        pipe = subprocess.PIPE
        return subprocess.Popen([TSCHED, *args], stdin=subprocess.DEVNULL, stdout=pipe, stderr=pipe, env=whole, cwd=cwd)

    def cli(self, *args, env=None):
        process = self.popen(*args, env=env)
        out, err = process.communicate(timeout=60)
        return process.returncode, out.decode(), err.decode()

    def pid(self):
        return json.loads(self.cli("status", "--json")[1])["pid"]


@pytest.fixture
def home():
    base = Path(tempfile.mkdtemp(prefix="ts-"))
    home = Home(base)
    yield home
    if home.cli("status")[0] == 0:
        assert home.cli("down")[0] == 0
    until(lambda: not procs.ours())
    shutil.rmtree(base)


def test_the_first_command_starts_a_supervisor_and_says_so_once(home):
    code, out, err = home.cli("run", "--", "echo", "x")
    assert (code, out) == (0, "x\n")
    assert err == f"tsched: started a supervisor (pid {home.pid()}, state in {home.state_dir})\n"
    assert home.cli("run", "--", "echo", "y") == (0, "y\n", "")
    assert (home.state_dir.stat().st_mode & 0o777, (home.state_dir / "supervisor.log").stat().st_mode & 0o777) == (
        0o700,
        0o600,
    )


def test_for_a_schedule_it_says_that_a_logout_ends_it(home):
    code, _, err = home.cli("schedule", "--in", "1h", "--command", "true")
    assert code == 0
    assert "will not survive a logout or reboot" in err.splitlines()[0]


def test_those_who_start_at_once_share_one_supervisor(home):
    racing = [home.popen("run", "--json", "--", "true") for _ in range(4)]
    ended = [process.communicate(timeout=60) for process in racing]
    assert [process.returncode for process in racing] == [0] * 4, ended
    said = b"".join(err for _, err in ended)
    assert said.count(b"started a supervisor") == 1
    assert len(json.loads(home.cli("list", "--json")[1])) == 4


@pytest.mark.parametrize("env", [{"TSCHED_SOCKET": "/tmp/nobody.sock"}, {"TSCHED_TASK_ID": "7"}], ids=str)
def test_where_another_is_meant_none_is_started(home, env):
    for words in VERBS:
        code, out, err = home.cli(*words, env=env)
        assert (code, out) == (69, "")
        assert "tsched up -d" in err
    assert not home.state_dir.exists()


def test_flags_that_name_a_supervisor_start_none_either(home):
    for flag, value in (("--socket", home.base / "s"), ("--state-dir", home.base / "other")):
        code, out, _ = home.cli("list", flag, str(value), "--json")
        assert code == 69
        assert json.loads(out)["error"]["reason"] == "no_supervisor"
    assert sorted(path.name for path in home.base.iterdir()) == []


def test_status_down_and_doctor_start_none(home):
    for words in ([], ["status"], ["down"], ["doctor"]):
        assert home.cli(*words)[0] == 69
    assert not home.state_dir.exists()


def test_up_in_the_background_and_down_again(home):
    code, out, _ = home.cli("up", "-d", "--json")
    pid = json.loads(out)["pid"]
    assert (code, home.pid()) == (0, pid)
    assert os.getsid(pid) == pid
    code, _, err = home.cli("up", "-d")
    assert code == 1
    assert str(pid) in err
    assert home.cli("down", "--json") == (0, f'{{"stopped": {pid}}}\n', "")
    assert home.cli("status")[0] == 69


def test_up_in_the_foreground_becomes_the_supervisor(home):
    process = home.popen("up")
    until(lambda: home.cli("status")[0] == 0)
    assert home.pid() == process.pid
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=30)
    assert process.returncode == 0


def test_what_keeps_a_supervisor_from_starting_is_told_in_one_line(home):
    config = home.base / "config.toml"
    config.write_text("[tasks]\nshel = 1\n")
    code, out, err = home.cli("run", "--", "true", env={"TSCHED_CONFIG": str(config)})
    assert (code, out) == (2, "")
    assert "shel" in err
    assert err.count("\n") == 1
    process = home.popen("run", "--", "true", env={"TSCHED_CONFIG": "config.toml"}, cwd=home.base)
    assert "shel" in process.communicate(timeout=60)[1].decode()
    config.write_text("[tasks\n")
    code, out, _ = home.cli("up", "-d", "--json", env={"TSCHED_CONFIG": str(config)})
    assert code == 2
    assert "line 1" in json.loads(out)["error"]["message"]
    code, _, err = home.cli(
        "run", "--", "true", env={"XDG_CONFIG_HOME": f"/{'x' * 300}"}
    )  # read by nobody, as another's
    assert (code, err.count("\n")) == (2, 1)
    assert "File name too long" in err
    home.state_dir.rmdir() if not any(home.state_dir.iterdir()) else shutil.rmtree(home.state_dir)
    home.state_dir.write_text("a file")
    code, _, err = home.cli("run", "--", "true")
    assert code == 2
    assert str(home.state_dir) in err


def test_the_module_is_the_command():
    done = subprocess.run([sys.executable, "-P", "-m", "tsched", "--version"], capture_output=True, check=True)
    assert done.stdout.startswith(b"tsched 0.")
