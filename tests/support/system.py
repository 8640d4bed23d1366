"""A service of several users, on a temporary folder that everybody may enter, and users of it who are made for the tests."""

from __future__ import annotations

import fcntl
import grp
import os
import pwd
import subprocess
import tempfile
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from support.service import CLI_TIMEOUT_S, Result, Service

if TYPE_CHECKING:
    from collections.abc import Iterator

GROUP = "tsxusers"
PASSWD = Path("/etc/passwd")
"""Two processes that change it at the same time get in each other's way; held is a lock that nobody else looks at."""


@dataclass(frozen=True, slots=True)
class Account:
    """A user of this machine."""

    name: str
    uid: int
    home: str


@contextmanager
def alone() -> Iterator[None]:
    """Nobody else of the tests changes the machine's users meanwhile."""
    with PASSWD.open() as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def run(*words: str) -> None:
    """Change the machine's users."""
    subprocess.run(words, check=True, capture_output=True)


def make_account(name: str, *groups: str) -> Account:
    """A user with a home, in these groups."""
    run("useradd", "--create-home", "--shell", "/bin/bash", *(["--groups", ",".join(groups)] if groups else []), name)
    entry = pwd.getpwnam(name)
    return Account(name, entry.pw_uid, entry.pw_dir)


def remove_account(name: str) -> None:
    """The user and their home."""
    with suppress(subprocess.CalledProcessError):
        run("userdel", "--remove", "--force", name)


@contextmanager
def accounts() -> Iterator[tuple[Account, Account, Account]]:
    """Two users in the group of the service, and one who is not; the group goes with its last members."""
    names = [f"tsx{os.getpid()}{letter}" for letter in "abx"]
    try:
        with alone():
            run("groupadd", "--system", "--force", GROUP)
            first, second = (make_account(name, GROUP) for name in names[:2])
            third = make_account(names[2])
        yield first, second, third
    finally:
        with alone():
            for name in names:
                remove_account(name)
            if not grp.getgrnam(GROUP).gr_mem:
                run("groupdel", GROUP)


@contextmanager
def open_folder() -> Iterator[Path]:
    """A folder that everybody may enter, which those of pytest are not."""
    with tempfile.TemporaryDirectory(prefix="ts-") as made:
        os.chmod(made, 0o755)
        yield Path(made)


class System(Service):
    """`tsched up --system` from an environment that all users can reach."""

    def __init__(self, base: Path, env: Path, config: str = "") -> None:
        super().__init__(base, config)
        self.program = (str(env / "bin/tsched"),)
        self.supervisor = (str(env / "bin/python"), "-P", "-m", "tsched.supervisor", "--system")
        base.chmod(0o755)
        self.socket = base / "run" / "s"
        self.env["TSCHED_SOCKET"] = str(self.socket)
        self.env["PATH"] = "/usr/sbin:/usr/bin:/sbin:/bin"

    @property
    def private(self) -> Path:
        return Path(f"{self.socket}.private")

    def words_as(self, account: Account, *words: str) -> list[str]:
        """A command as that user, with nothing of root's."""
        mine = {"HOME": account.home, "USER": account.name, "PATH": "/usr/bin:/bin", "LANG": "C.UTF-8"}
        mine["TSCHED_SOCKET"] = str(self.socket)
        become = ["setpriv", "--reuid", account.name, "--regid", account.name, "--init-groups", "--inh-caps=-all"]
        return [*become, "env", "-i", *(f"{name}={value}" for name, value in mine.items()), *words]

    def run_as(self, account: Account, *words: str, check: bool = True) -> Result:
        """Run a command as that user, in their home."""
        done = subprocess.run(
            self.words_as(account, *words),
            check=False,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            cwd=account.home,
            timeout=CLI_TIMEOUT_S,
        )
        result = Result(words, done.returncode, done.stdout, done.stderr)
        assert not check or result.code == 0, str(result)
        return result

    def cli_as(self, account: Account, *words: str, check: bool = True) -> Result:
        """`tsched WORDS` as that user."""
        return self.run_as(account, *self.program, *words, check=check)

    def json_as(self, account: Account, *words: str) -> Any:
        return self.cli_as(account, *words, "--json").json

    def said_by(self, account: Account, line: str) -> list[str]:
        """What a task of that user prints."""
        return self.cli_as(account, "run", "--command", line).text.splitlines()


def uid_of(pid: int) -> int:
    """Whose a process is."""
    return os.stat(f"/proc/{pid}").st_uid
