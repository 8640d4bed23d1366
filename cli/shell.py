"""The verb that opens a prompt at which every verb can be typed: shell.

A line is done as if it had been typed behind `tsched` in a new process, but that nothing has to be loaded again. What
it says and its exit code are its own; nothing that goes wrong in it ends the shell.
"""

from __future__ import annotations

import os
import shlex
import signal
import sys
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any

from ..proto.errors import EXIT_OK, EXIT_USAGE, Refusal, RefusalReason
from . import connect, console, parser

if TYPE_CHECKING:
    from argparse import Namespace
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from prompt_toolkit import PromptSession

HISTORY_NAME = "shell_history"
EXIT_BROKEN_PIPE = 141
SIGNAL_BASE = 128

OWN = {
    "help": "this list; help VERB: what a verb takes",
    "load": "load a plugin: plugins load NAME",
    "unload": "unload one: plugins unload NAME",
    "reload": "read plugins anew, or one: plugins reload [NAME]",
    "exit": "leave; so does Ctrl-D",
}
"""Words that are no verbs of the command line."""
LEAVING = ("exit", "quit")
PLUGIN_WORDS = ("load", "unload", "reload")
NOTES = """Ctrl-C ends what a line is doing, not the shell. When stdin is no terminal its lines are done one after the
other, those that begin with # left out; the exit code is the last one's, and one that is not 0 is told with its line's
number. The lines typed at a terminal are kept in shell_history in the state folder."""


class Ended(BaseException):
    """A signal asks this process to end."""

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.code = SIGNAL_BASE + number


class Shell:
    """Does lines. `everywhere`: the flags that each of them is given, as --socket; `away`: those of an address."""

    def __init__(self, everywhere: list[str], away: Sequence[str] = ()) -> None:
        self.everywhere = everywhere
        self.away = away
        self.code = EXIT_OK
        """Of the last line that did something."""
        self.over = False

    def do(self, line: str) -> int:
        """Do what a line says; its exit code, which one that says nothing has not."""
        try:
            words = shlex.split(line)
        except ValueError as error:
            refusal = Refusal(RefusalReason.BAD_USAGE, f"cannot read this line: {error}", "close the quotes")
            console.refuse(refusal, as_json=False)
            self.code = EXIT_USAGE
            return self.code
        if words[:1] == ["tsched"]:
            words = words[1:]
        if words and words[0] in LEAVING:
            self.over = True
        elif words:
            self.code = self._done(words)
            return self.code
        return EXIT_OK

    def _done(self, words: list[str]) -> int:
        """Do it; the exit code."""
        try:
            code = self._run(words)
            sys.stdout.flush()
        except KeyboardInterrupt:
            return SIGNAL_BASE + signal.SIGINT
        except BrokenPipeError:
            code = EXIT_BROKEN_PIPE
        self.over |= code == EXIT_BROKEN_PIPE
        return code

    def _run(self, words: list[str]) -> int:
        from .main import run, takes_address

        if words[0] == "help":
            return _help() if len(words) == 1 else run([*words[1:2], "--help"])
        if words[0] in PLUGIN_WORDS:
            words = ["plugins", *words]
        if refusal := _not_here(words):
            console.refuse(refusal, as_json=False)
            return refusal.exit_code
        return run([*self.everywhere, *(self.away if takes_address(words[0]) else ()), *words])


def _not_here(words: list[str]) -> Refusal | None:
    """Why a verb cannot be done within a shell."""
    given = set(words)
    if words[0] == "up" and (not given & {"-d", "--detach", "--replace", "-h", "--help"} or "--cli" in given):
        return Refusal(RefusalReason.BAD_USAGE, "up would take this shell's place", "up -d")
    if words[0] == "shell" and not given & {"-h", "--help"}:
        return Refusal(RefusalReason.BAD_USAGE, "this is the shell", "exit leaves it")
    return None


def _help() -> int:
    from .main import VERBS as KNOWN

    lines = [f"  {name:<10} {about}" for name, about in OWN.items()]
    lines += [f"  {name:<10} {about}" for name, (_, about) in KNOWN.items() if name != "shell"]
    console.put("\n".join(lines))
    return EXIT_OK


def _arguments(to: parser.Parser) -> None:
    to.epilog = NOTES


def _shell(args: Namespace) -> int:
    flags = ["--socket", str(args.socket)] if args.socket else []
    flags += ["--state-dir", str(args.state_dir)] if args.state_dir else []
    flags += ["--system"] * args.system
    away = [(flag, getattr(args, flag.removeprefix("--").replace("-", "_"))) for flag in parser.AWAY]
    given = [word for flag, value in away if value is not None for word in (flag, str(value))]
    return open_on([*flags, *["--json"] * args.json], connect.state_dir(args), given)


def open_on(everywhere: list[str], state_dir: Path, away: Sequence[str] = ()) -> int:
    """Do lines until there are no more; the exit code."""
    shell = Shell(everywhere, away)
    at_terminal = os.isatty(0) and os.isatty(1)
    try:
        (_typed if at_terminal else _given)(shell, state_dir)
    except Ended as ended:
        return ended.code
    return EXIT_OK if at_terminal else shell.code


def _given(shell: Shell, _state_dir: Path) -> None:
    """Do the lines of stdin, which no verb may read."""
    with _own_stdin() as lines, _ending_by_signal(_raise_ended):
        for number, line in enumerate(lines, 1):
            if line.lstrip().startswith("#"):
                continue
            if code := shell.do(line):
                console.say(f"line {number}: exit code {code}")
            if shell.over:
                return


@contextmanager
def _own_stdin() -> Iterator[Any]:
    """What comes on stdin, while whoever else reads it finds nothing."""
    with open(os.dup(0), encoding="utf-8", errors="surrogateescape", closefd=True) as lines:
        nothing = os.open(os.devnull, os.O_RDONLY)
        os.dup2(nothing, 0)
        os.close(nothing)
        yield lines


def _typed(shell: Shell, state_dir: Path) -> None:
    """Do lines as they are typed, each when it is ready."""
    session = _session(shell, state_dir)
    with _ending_by_signal(lambda number: _leave_prompt(session, number)):
        while not shell.over:
            try:
                line = session.prompt(_prompt(shell.code))
            except KeyboardInterrupt:
                continue
            except EOFError:
                return
            for each in commands(line):
                shell.do(each)
                if shell.over:
                    return


def commands(text: str) -> Iterator[str]:
    """What was pasted at once, line by line; one with an open quote goes on in the next."""
    held: list[str] = []
    for line in text.split("\n"):
        held.append(line)
        if _closed(whole := "\n".join(held)):
            yield whole
            held.clear()
    if held:
        yield "\n".join(held)


def _closed(text: str) -> bool:
    try:
        shlex.split(text)
    except ValueError:
        return False
    return True


def _prompt(code: int) -> str:
    return f"tsched [{code}]> " if code else "tsched> "


def _session(shell: Shell, state_dir: Path) -> PromptSession[str]:
    from prompt_toolkit import PromptSession
    from prompt_toolkit.history import FileHistory, InMemoryHistory

    from .shell_words import Words

    file = _history_file(state_dir)
    history = InMemoryHistory() if file is None else FileHistory(file)
    words = Words([*shell.everywhere, *shell.away])
    return PromptSession(history=history, completer=words, complete_while_typing=False, complete_in_thread=True)


def _history_file(state_dir: Path) -> str | None:
    """Where lines are kept, which only this user may read; None where they cannot be."""
    with suppress(OSError, ValueError):
        os.makedirs(state_dir, mode=0o700, exist_ok=True)
        path = os.fspath(state_dir / HISTORY_NAME)
        os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600))
        return path
    return None


@contextmanager
def _ending_by_signal(leave: Any) -> Iterator[None]:
    """SIGTERM and SIGHUP end the shell in good order: who opened it may have something to end too."""
    before = {each: signal.signal(each, lambda number, _: leave(number)) for each in (signal.SIGTERM, signal.SIGHUP)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _raise_ended(number: int) -> None:
    raise Ended(number)


def _leave_prompt(session: PromptSession[str], number: int) -> None:
    """End the prompt, which has to set the terminal right; or what is done instead of it."""
    app = session.app
    if not app.is_running or app.loop is None:
        raise Ended(number)
    app.loop.call_soon_threadsafe(lambda: app.exit(exception=Ended(number)))


VERBS = {"shell": parser.Verb(arguments=_arguments, run=_shell)}
