"""The systemd unit: accepted by systemd, written with care, and said where it is missing."""

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from support import procs
from support.service import TSCHED
from support.wait import until

FORBIDDEN = (
    "PrivateTmp=",
    "ProtectSystem=",
    "NoNewPrivileges=",
    "ProtectHome=",
    "RestrictAddressFamilies=",
    "MemoryMax=",
)
ODD = 'a b%i $HOME ${x} "quoted" \\back\tü'


@pytest.fixture
def home():
    base = Path(tempfile.mkdtemp(prefix="ts-"))
    yield base
    if cli(base, "status").returncode == 0:
        assert cli(base, "down").returncode == 0
    until(lambda: not procs.ours())
    shutil.rmtree(base)


def cli(home, *args, program=(str(TSCHED),), **env):
    whole = {"HOME": str(home), "PATH": os.environ["PATH"], "XDG_RUNTIME_DIR": str(home), "LANG": "C.UTF-8", **env}
    return subprocess.run(
        [*program, *args], env=whole, capture_output=True, text=True, check=False, timeout=60, cwd=home
    )


def verified(home, text, *flags):
    """What systemd-analyze has to say against it."""
    if shutil.which("systemd-analyze") is None:
        pytest.skip("systemd-analyze is missing: NOTHING HAS LOOKED AT THE UNIT; apt-get install systemd")
    path = home / "tsched.service"
    path.write_text(text)
    env = {"HOME": str(home), "PATH": os.environ["PATH"], "XDG_RUNTIME_DIR": str(home)}
    argv = ["systemd-analyze", "verify", "--man=no", *flags, str(path)]
    done = subprocess.run(argv, env=env, capture_output=True, text=True, check=False, timeout=60)
    return done.stdout + done.stderr if done.returncode or "tsched" in done.stderr else ""


@pytest.mark.parametrize("flags", [[], ["--user"]], ids=["system", "user"])
@pytest.mark.parametrize("state_dir", ["state", ODD])
def test_systemd_finds_nothing_wrong_with_it(home, flags, state_dir):
    text = cli(home, "service", "install", "--print", *flags, "--state-dir", str(home / state_dir)).stdout
    assert "Type=notify\n" in text
    assert "KillMode=process\n" in text
    assert not any(line.startswith(FORBIDDEN) for line in text.splitlines())
    assert verified(home, text, *flags) == ""


@pytest.mark.skipif(os.geteuid() != 0, reason="the service of several users is root's")
def test_the_unit_of_a_service_of_several_users_lets_them_come_to_its_socket_and_to_nothing_else(home):
    text = cli(home, "service", "install", "--print", "--system").stdout
    assert " up --system --state-dir /var/lib/tsched\n" in text
    assert {"RuntimeDirectoryMode=0755", "StateDirectoryMode=0700"} <= set(text.splitlines())
    assert "XDG_RUNTIME_DIR" not in text
    assert not verified(home, text)
    refused = cli(home, "service", "install", "--print", "--system", "--user")
    assert (refused.returncode, "root's" in refused.stderr) == (2, True)


def test_an_interpreter_with_an_odd_path_is_named_so_that_systemd_finds_it(home):
    odd = home / "py th%n"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", "--system-site-packages", str(odd)], check=True)
    [site] = odd.glob("lib/python*/site-packages")
    paths = [path for path in sys.path if path.endswith("site-packages")]
    (site / "outer.pth").write_text("".join(f"import site; site.addsitedir({path!r})\n" for path in paths))
    program = (str(odd / "bin" / "python"), "-P", "-m", "tsched")
    text = cli(home, "service", "install", "--user", "--print", program=program).stdout
    assert f'ExecStart="{home}/py th%%n/bin/python" -P -m tsched up --state-dir' in text
    assert verified(home, text, "--user") == ""


def test_it_is_written_shown_and_removed_and_another_is_not_written_over(home):
    path = home / ".config/systemd/user/tsched.service"
    assert cli(home, "service", "status", "--user").returncode == 1
    first = cli(home, "service", "install", "--user")
    assert first.returncode == 0
    assert "systemctl --user enable tsched.service" in first.stderr
    assert "enable-linger" in first.stderr
    assert path.read_text() + "" == cli(home, "service", "install", "--user", "--print").stdout
    assert cli(home, "service", "install", "--user").returncode == 0
    path.write_text(path.read_text().replace("WatchdogSec=30", "WatchdogSec=31"))
    second = cli(home, "service", "install", "--user")
    assert second.returncode == 1
    assert "-WatchdogSec=31" in second.stderr
    assert "WatchdogSec=31" in path.read_text()
    assert cli(home, "service", "install", "--user", "--force").returncode == 0
    assert "WatchdogSec=30" in path.read_text()
    assert cli(home, "service", "uninstall", "--user").returncode == 0
    assert not path.exists()
    path.write_text("[Unit]\nDescription=mine\n")
    assert cli(home, "service", "uninstall", "--user").returncode == 1
    assert path.exists()


def test_a_bad_configuration_is_not_installed(home):
    (home / "c.toml").write_text("[tasks]\nshel = 1\n")
    refused = cli(home, "service", "install", "--user", "--config", str(home / "c.toml"))
    assert refused.returncode == 2
    assert "shel" in refused.stderr
    assert not (home / ".config/systemd/user/tsched.service").exists()


def test_how_to_hand_over_is_told_where_a_supervisor_runs_already(home):
    assert cli(home, "up", "-d").returncode == 0
    said = cli(home, "service", "install", "--user").stderr
    assert "to hand over: kill -TERM" in said


def test_a_schedule_warns_once_that_nothing_brings_the_service_back(home):
    assert cli(home, "up", "-d").returncode == 0
    first, second = (cli(home, "schedule", "--in", "1h", "--", "true").stderr for _ in range(2))
    assert "nothing will bring the service back" in first
    assert "bring" not in second


def test_with_the_autostart_it_is_one_notice_and_not_two(home):
    first = cli(home, "schedule", "--in", "1h", "--", "true").stderr
    assert "will not survive a logout or reboot" in first
    assert "nothing will bring" not in first
    assert "reboot" not in cli(home, "schedule", "--in", "1h", "--", "true").stderr


def test_with_an_enabled_unit_nothing_is_said(home):
    assert cli(home, "service", "install", "--user").returncode == 0
    wants = home / ".config/systemd/user/default.target.wants"
    wants.mkdir()
    (wants / "tsched.service").symlink_to("../tsched.service")
    assert cli(home, "service", "status", "--user").returncode == 0
    assert "reboot" not in cli(home, "schedule", "--in", "1h", "--", "true").stderr


def test_the_service_is_found_by_its_state_folder_whatever_the_environment_says(home):
    assert cli(home, "up", "-d").returncode == 0
    assert cli(home, "list", XDG_RUNTIME_DIR="").returncode == 0
    assert cli(home, "run", "--", "true", XDG_RUNTIME_DIR="/nowhere").stderr == ""
