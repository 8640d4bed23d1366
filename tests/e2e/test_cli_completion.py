"""A shell that has read the script completes our words, and never starts us for it. Asked of real shells."""

import os
import pty
import select
import shutil
import signal
import subprocess
import sys

import pytest

from support.service import TSCHED
from support.wait import until

CASES = [
    ("tsched rele", {"release"}),
    ("tsched list --qu", {"--queue"}),
    ("tsched list --state re", {"ready", "retrying"}),
    ("tsched run --on-lost ", {"fail", "hold", "retry"}),
    ("tsched run --cwd fol", {"folder"}),
    ("tsched run --env-file fi", {"file"}),
    ("tsched --socket file list --limi", {"--limit"}),
    ("tsched config ", {"check", "reload"}),
    ("tsched completion ", {"bash", "fish", "zsh"}),
    ("tsched run -d -- xtruly", {"xtruly_ours"}),
]
BASH = """
source ./script
while IFS= read -r line; do
  read -ra COMP_WORDS <<< "$line"
  [[ $line == *' ' ]] && COMP_WORDS+=("")
  COMP_CWORD=$((${#COMP_WORDS[@]} - 1)) COMPREPLY=()
  _tsched
  echo "${COMPREPLY[*]}"
done
"""
FISH = """
source ./script
while read line
  echo (complete -C $line | string replace -r '\\t.*' '')
end
"""


@pytest.fixture
def folder(tmp_path):
    """A place with a folder, a file and a program that no other place has; `tsched` is not in its PATH."""
    (tmp_path / "folder").mkdir()
    (tmp_path / "file").touch()
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "xtruly_ours").touch()
    (tmp_path / "bin" / "xtruly_ours").chmod(0o755)
    return tmp_path


def environment(folder):
    return {"PATH": f"{folder}/bin:/usr/bin:/bin", "HOME": str(folder), "LANG": "C.UTF-8", "TERM": "dumb", "PS1": "> "}


def script(folder, shell):
    done = subprocess.run([TSCHED, "completion", shell], check=True, capture_output=True)
    (folder / "script").write_bytes(done.stdout)


def needs(shell):
    if not shutil.which(shell):
        pytest.skip(f"no {shell} here: its completion was not tried")


@pytest.mark.parametrize(("shell", "program"), [("bash", BASH), ("fish", FISH)])
def test_a_shell_completes_verbs_flags_choices_files_and_commands(shell, program, folder):
    needs(shell)
    script(folder, shell)
    (folder / "program").write_text(program)
    asked = "".join(f"{line}\n" for line, _ in CASES).encode()
    done = subprocess.run(
        [shell, "program"], input=asked, check=True, capture_output=True, cwd=folder, env=environment(folder)
    )
    answers = [{word.rstrip("/") for word in line.split()} for line in done.stdout.decode().splitlines()]
    assert dict(zip((line for line, _ in CASES), answers, strict=True)) == dict(CASES)
    assert done.stderr == b""


class Terminal:
    """A shell that somebody types at."""

    def __init__(self, *words, folder):
        self.pid, self.descriptor = pty.fork()
        if self.pid == 0:
            os.chdir(folder)
            os.execvpe(words[0], words, environment(folder))
        self.shown = ""

    def type(self, text):
        self.shown = ""
        os.write(self.descriptor, text.encode())

    def shows(self, *words):
        """Waits until all of the words stand there."""

        def all_there():
            while select.select([self.descriptor], [], [], 0)[0]:
                self.shown += os.read(self.descriptor, 65536).decode(errors="replace")
            return all(word in self.shown for word in words)

        until(all_there, what=f"{words} in {self.shown!r}")

    def close(self):
        os.kill(self.pid, signal.SIGKILL)
        os.waitpid(self.pid, 0)
        os.close(self.descriptor)


def test_zsh_completes_verbs_flags_choices_files_and_commands(folder):
    needs("zsh")
    script(folder, "zsh")
    terminal = Terminal("zsh", "-f", "-i", folder=folder)
    try:
        terminal.shows("> ")
        terminal.type('autoload -Uz compinit; compinit -u -D; eval "$(<script)"; echo rea""dy\n')
        terminal.shows("ready")
        for line, words in CASES:
            terminal.type(f"{line}\t")
            terminal.shows(*words)
            terminal.type("\x15")
    finally:
        terminal.close()


def test_making_the_script_loads_no_grpc():
    code = (
        "import sys; from tsched.cli.main import run; run(['completion', 'bash']); print(*sys.modules, file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-P", "-c", code], check=True, capture_output=True, text=True)
    loaded = {name.partition(".")[0] for name in done.stderr.split()}
    assert not loaded & {"grpc", "google", "structlog", "sqlite3", "sqlite_utils", "dateutil", "cryptography"}


@pytest.mark.parametrize("words", [["completion"], ["completion", "tcsh"], ["completion", "bash", "zsh"]], ids=str)
def test_a_shell_that_is_not_known_is_refused(words):
    done = subprocess.run([TSCHED, *words], check=False, capture_output=True)
    assert done.returncode == 2
    assert done.stderr.count(b"\n") == 1
