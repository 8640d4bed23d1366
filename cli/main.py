"""`tsched VERB ...`: finds the verb, runs it, and turns whatever happens into one line and an exit code.

Only the module of the verb that was typed is loaded, and gRPC only where it is used: help and mistakes are answered at
once.
"""

from __future__ import annotations

import os
import sys
from importlib import import_module
from typing import TYPE_CHECKING, NoReturn

from .. import __version__
from ..proto.errors import EXIT_OK, EXIT_TSCHED_FAILED, Refusal, RefusalReason
from . import console, parser

if TYPE_CHECKING:
    from collections.abc import Sequence

EXIT_INTERRUPTED = 130
EXIT_BROKEN_PIPE = 141
"""As a command that SIGPIPE ended."""

# verb -> (module of this package, what it does)
VERBS = {
    "up": ("service", "start the supervisor, here or (-d) in the background"),
    "down": ("service", "stop it: running tasks may finish for a while, then are ended"),
    "status": ("service", "the service at a glance (without a verb: this)"),
    "doctor": ("service", "check the store and tsched's own promises"),
    "key": ("key", "the key of what is stored: its state; have a new one used"),
    "config": ("configure", "check the configuration; have a running supervisor reload it"),
    "cert": ("certs", "make certificates to try TLS with; show what one holds"),
    "service": ("install", "have systemd start the supervisor, at boot or at login"),
    "run": ("submit", "run a command now and follow it; exits with its code"),
    "schedule": ("submit", "run a command at a time or after a while"),
    "call": ("call", "call a registered function; prints what it returns, as JSON"),
    "submit": ("workflow", "submit tasks that wait for each other, from a TOML file"),
    "list": ("look", "tasks, newest first"),
    "show": ("look", "everything about one task"),
    "logs": ("look", "what a task wrote"),
    "wait": ("waiting", "wait until tasks have ended; exits with a single one's code"),
    "result": ("result", "what a finished command wrote to stdout, or a function returned; exits with its code"),
    "why": ("graph", "what a task waits for, or why it ended as it did"),
    "graph": ("graph", "the tasks that hang together with a task, as a tree or for dot"),
    "events": ("events", "what happens to tasks, as JSON lines"),
    "audit": ("audit", "who changed what, and who was refused"),
    "modify": ("change", "change a task that has not started"),
    "delete": ("change", "remove a task that is not running"),
    "cancel": ("change", "end a task, its whole process tree"),
    "retry": ("steer", "do again what a finished task did, as a new task"),
    "hold": ("steer", "keep a task from starting until it is released"),
    "release": ("steer", "let a held task go its way"),
    "pause": ("steer", "stop a running task's processes where they are"),
    "resume": ("steer", "let a paused task go on"),
    "functions": ("functions", "what can be called: names, arguments, what they are for"),
    "plugins": ("functions", "where functions come from; load, unload and reload them"),
    "shell": ("shell", "type verbs at a prompt, with history and completion"),
    "completion": ("completion", "print what lets a shell complete these words"),
}
VALUED = ("--socket", "--state-dir", *parser.AWAY)
"""Words that may stand before the verb with a value behind them."""


def main() -> NoReturn:
    """The console script."""
    console.prepare()
    code = run(sys.argv[1:])
    code = _flushed(code)
    # gRPC's threads and the interpreter's own teardown would take as long again as most verbs.
    os._exit(code)


def run(words: Sequence[str]) -> int:
    """Do what was typed; the exit code. Raises nothing, but for TSCHED_DEBUG."""
    try:
        return _dispatch(words)
    except SystemExit as end:  # argparse, after --help
        return end.code if isinstance(end.code, int) else EXIT_OK
    except BrokenPipeError:
        return EXIT_BROKEN_PIPE
    except KeyboardInterrupt:
        return EXIT_INTERRUPTED
    except Exception as problem:  # noqa: BLE001 - the last place that can keep a traceback from a user
        refusal = _refusal_of(problem)
    console.refuse(refusal, as_json="--json" in parser.split(words)[0])
    return refusal.exit_code


def _refusal_of(problem: Exception) -> Refusal:
    if isinstance(problem, Refusal):
        return problem
    if os.environ.get("TSCHED_DEBUG"):
        raise problem
    if isinstance(problem, OSError):
        return Refusal(RefusalReason.INTERNAL, f"{problem.filename or 'output'}: {problem.strerror or problem}")
    what = f"tsched failed: {type(problem).__name__}: {problem}"
    return Refusal(RefusalReason.INTERNAL, what, "TSCHED_DEBUG=1 shows where")


def _dispatch(words: Sequence[str]) -> int:
    place = _place_of_verb(words)
    if place is None:
        return _without_verb(words)
    name = words[place]
    if name not in VERBS:
        raise _unknown(name)
    verb, about = _verb(name), VERBS[name][1]
    return verb.run(parser.parse(name, verb, about, [*words[:place], *words[place + 1 :]]))


def _verb(name: str) -> parser.Verb:
    verb: parser.Verb = import_module(f".{VERBS[name][0]}", __package__).VERBS[name]
    return verb


def takes_address(name: str) -> bool:
    """Whether a verb may be told of a service elsewhere."""
    return name in VERBS and not _verb(name).local


def _place_of_verb(words: Sequence[str]) -> int | None:
    """Where the first word stands that is no flag and no flag's value."""
    place = 0
    while place < len(words) and words[place].startswith("-") and words[place] != parser.SEPARATOR:
        place += 2 if words[place] in VALUED else 1
    return place if place < len(words) else None


def _without_verb(words: Sequence[str]) -> int:
    """Help, version, or the status."""
    if "--version" in words:
        console.put(f"tsched {__version__}")
        return EXIT_OK
    if "-h" in words or "--help" in words:
        console.put(_help())
        return EXIT_OK
    return _dispatch(["status", *words])


def _help() -> str:
    lines = [f"  {name:<10} {about}" for name, (_, about) in VERBS.items()]
    return "\n".join(
        [
            "usage: tsched [--socket PATH] [--state-dir PATH] [--addr HOST:PORT] [--json] VERB ...",
            "",
            "Runs commands now and later, keeps them and their output, and tells the truth about them.",
            "",
            *lines,
            "",
            "tsched VERB --help says what a verb takes; tsched --version prints the version.",
        ]
    )


def _unknown(name: str) -> Refusal:
    near = parser.nearest(name, VERBS)
    hint = f"did you mean {near}?" if near else "tsched --help lists them"
    return Refusal(RefusalReason.BAD_USAGE, f"unknown verb: {name[:40]}", hint)


def _flushed(code: int) -> int:
    """The code, or that of a stdout that could not take what was printed."""
    try:
        sys.stdout.flush()
    except BrokenPipeError:
        return EXIT_BROKEN_PIPE
    except OSError as error:
        if code != EXIT_TSCHED_FAILED:  # otherwise that was said already
            console.say(f"cannot write to stdout: {error.strerror}")
        return EXIT_TSCHED_FAILED
    return code
