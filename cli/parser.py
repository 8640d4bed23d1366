"""Reading what was typed: argparse, with refusals of our kind and words that every verb understands."""

from __future__ import annotations

import argparse
import os
from collections.abc import Callable, Iterable, Sequence
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, NoReturn

from ..proto import checks, durations, endpoint
from ..proto.errors import Refusal, RefusalReason

if TYPE_CHECKING:
    from argparse import Namespace

SEPARATOR = "--"
DEFAULT_COLUMNS = 80
AWAY = ("--addr", "--tls-ca-cert", "--tls-cert", "--tls-key")
"""Flags that lead to a service on TCP; verbs that are about this machine only do not take them as such."""
_SHELL_CHARACTERS = frozenset(" \t\n|&;<>()$`*?[]{}'\"\\=~#!")


class Parser(argparse.ArgumentParser):
    """Refuses instead of exiting; takes no abbreviated flags, for they change meaning when a flag is added."""

    def __init__(self, prog: str, description: str, usage: str | None = None) -> None:
        super().__init__(
            prog=prog, description=description, usage=usage, allow_abbrev=False, formatter_class=_formatter
        )

    def error(self, message: str) -> NoReturn:
        """Raise what argparse has to say as a refusal."""
        raise Refusal(RefusalReason.BAD_USAGE, message, self._hint(message))

    def _hint(self, message: str) -> str:
        flag = next((word for word in message.split() if word.startswith("--")), "").partition("=")[0]
        near = nearest(flag, self._option_string_actions) if message.startswith("unrecognized") else None
        return f"did you mean {near}?" if near else f"see {self.prog} --help"


def _formatter(prog: str) -> argparse.HelpFormatter:
    """As argparse would make it, for every flag once; but it loads shutil for the width."""
    return argparse.HelpFormatter(prog, width=_help_columns())


@cache
def _help_columns() -> int:
    wanted = os.environ.get("COLUMNS", "")
    if wanted.isascii() and wanted.isdigit() and int(wanted) > 0:
        return int(wanted) - 2
    try:
        return (os.get_terminal_size(1).columns or DEFAULT_COLUMNS) - 2
    except OSError:
        return DEFAULT_COLUMNS - 2


def nearest(word: str, known: Iterable[str]) -> str | None:
    """The known word that was probably meant."""
    from difflib import get_close_matches

    return next(iter(get_close_matches(word, list(known), n=1)), None)


class Verb(NamedTuple):
    """One verb: what it takes and what it does; `run` gives the exit code."""

    arguments: Callable[[Parser], None]
    run: Callable[[Namespace], int]
    takes_command: bool = False
    """Whether `-- ARGV...` may follow."""
    takes_dash: bool = False
    """Whether a lone `-` stands for `--command -`."""
    mixed: bool = False
    """Whether flags may stand between its words."""
    local: bool = False
    """Whether it is about this machine only, and takes no address of a service elsewhere."""


def parse(name: str, verb: Verb, about: str, words: Sequence[str]) -> Namespace:
    """What was typed for a verb. Raises Refusal BAD_USAGE."""
    own, command = split(words)
    if command is not None and not verb.takes_command:
        raise Refusal(RefusalReason.BAD_USAGE, f"{name} takes no command", f"see tsched {name} --help")
    parser = Parser(prog=f"tsched {name}", description=about)
    add_global(parser, local=verb.local)
    verb.arguments(parser)
    args, extra = (parser.parse_known_intermixed_args if verb.mixed else parser.parse_known_args)(own)
    if verb.takes_dash and extra == ["-"]:
        args.command = _from_stdin(args)
        extra = []
    if extra:
        _refuse_extra(parser, name, extra, takes_command=verb.takes_command)
    args.argv = command
    return args


def _from_stdin(args: Namespace) -> str:
    """What `--command` takes to read stdin, as a lone `-` does."""
    if args.command not in (None, "-"):
        raise Refusal(RefusalReason.BAD_COMMAND, "both --command and - are given", "give one of them")
    return "-"


def split(words: Sequence[str]) -> tuple[list[str], list[str] | None]:
    """What is tsched's own, and what stands behind the first `--`."""
    if SEPARATOR not in words:
        return list(words), None
    place = list(words).index(SEPARATOR)
    return list(words[:place]), list(words[place + 1 :])


def _refuse_extra(parser: Parser, name: str, extra: Sequence[str], *, takes_command: bool) -> NoReturn:
    if name == "run" and extra[0].partition("=")[0] in ("--at", "--in"):
        message = f"run starts at once, it takes no {extra[0].partition('=')[0]}"
        raise Refusal(RefusalReason.BAD_USAGE, message, "for a time: tsched schedule, with the same words")
    if takes_command and not extra[0].startswith("-"):
        hint = f"put -- before the command: tsched {name} -- {' '.join(extra)}"
        if shell_line(extra):
            hint = f"a line for the shell? tsched {name} --command {quoted_for_shell(extra[0])}"
        raise Refusal(RefusalReason.BAD_USAGE, f"not an option of {name}: {checks.quoted(extra[0])}", hint)
    parser.error(f"unrecognized arguments: {' '.join(checks.quoted(word) for word in extra)}".replace("'", ""))


def shell_line(words: Sequence[str]) -> bool:
    """Whether these words are rather one line for the shell than a program's name."""
    return len(words) == 1 and bool(_SHELL_CHARACTERS & set(words[0]))


def quoted_for_shell(text: str) -> str:
    """The text as one word of a shell, to be copied from a hint."""
    import shlex

    return shlex.quote(text)


def add_global(parser: Parser, *, local: bool = False) -> None:
    """Where the supervisor is, and in what form to answer; `local`: it can only be on this machine."""
    group = parser.add_argument_group("everywhere")
    group.add_argument("--socket", metavar="PATH", type=path, help="the supervisor's socket (TSCHED_SOCKET)")
    group.add_argument("--state-dir", metavar="PATH", type=path, help="its state folder (TSCHED_STATE_DIR)")
    about = f"the service that all users of this machine share ({endpoint.SYSTEM_SOCKET})"
    group.add_argument("--system", action="store_true", help=about)
    parser.set_defaults(local=local)
    if not local:
        _add_address(group)
    group.add_argument("--json", action="store_true", help="answer in JSON, errors too")


def _add_address(group: argparse._ArgumentGroup) -> None:
    group.add_argument("--addr", metavar="HOST:PORT", help="one on TCP instead (TSCHED_ADDR)")
    about = "under TLS: who signed its certificate (TSCHED_TLS_CA_CERT)"
    group.add_argument("--tls-ca-cert", metavar="FILE", type=path, help=about)
    about = "your own certificate, where it asks for one (TSCHED_TLS_CERT)"
    group.add_argument("--tls-cert", metavar="FILE", type=path, help=about)
    group.add_argument("--tls-key", metavar="FILE", type=path, help="its private key (TSCHED_TLS_KEY)")


def path(text: str) -> Path:
    """A path, absolute."""
    if not text:
        raise Refusal(RefusalReason.BAD_USAGE, "an empty path is given", "give the path of a file")
    try:
        return Path(text).absolute()
    except FileNotFoundError:
        raise Refusal(RefusalReason.BAD_USAGE, "this folder is gone", "give a path that begins with /") from None


def delay(text: str) -> int:
    """How long from now, in microseconds."""
    return checks.check_duration_us(durations.parse_us(text), "the delay", 0, checks.AHEAD_LIMIT_US)


def limit(text: str) -> int:
    """How long to wait at most."""
    return checks.check_duration_us(durations.parse_us(text), "the time limit", 0, checks.AHEAD_LIMIT_US)


def timeout(text: str) -> int:
    """How long an attempt may run."""
    return checks.check_duration_us(durations.parse_us(text), "timeout", *checks.TIMEOUT_RANGE_US)


def timeout_or_none(text: str) -> int:
    """How long an attempt may run; 0 for no limit."""
    length_us = durations.parse_us(text)
    return length_us if length_us == 0 else timeout(text)


def grace(text: str) -> int:
    """The time between the polite and the hard signal."""
    return checks.check_duration_us(durations.parse_us(text), "grace", *checks.GRACE_RANGE_US)


def retries(text: str) -> int:
    """How many more attempts."""
    return checks.check_range(_number(text, "a number"), "retries", *checks.RETRIES_RANGE)


def retry_delay(text: str) -> int:
    """The time before the second attempt."""
    return checks.check_duration_us(durations.parse_us(text), "the retry delay", *checks.RETRY_DELAY_RANGE_US)


def priority(text: str) -> int:
    """Any number of 32 bits."""
    return checks.check_priority(_number(text, "a priority"))


def count(text: str) -> int:
    """How many: 0 or more."""
    return checks.check_range(_number(text, "a number"), "the number", 0, checks.INT32_RANGE[1])


def umask(text: str) -> int:
    """Three octal digits, as the shell's umask takes them."""
    digits = text.removeprefix("0o")
    if not (digits.isascii() and digits.isdigit() and len(digits) <= len("0777") and set(digits) <= set("01234567")):
        raise Refusal(RefusalReason.BAD_VALUE, f"not a umask: {checks.quoted(text)}", "use octal digits, as in 022")
    return checks.check_range(int(digits, 8), "umask", 0, 0o777)


def _number(text: str, what: str) -> int:
    digits = text.removeprefix("-").removeprefix("+")
    if not (digits.isascii() and digits.isdigit() and len(digits) < len(str(2**63))):
        raise Refusal(
            RefusalReason.BAD_VALUE, f"not {what}: {checks.quoted(text)}", "use a whole number of at most 32 bits"
        )
    return int(text)


def add_id(parser: Parser) -> None:
    """The task that is meant, as ID or --id ID."""
    parser.add_argument("id", nargs="?", metavar="ID", help="the task")
    parser.add_argument("--id", dest="id_flag", metavar="ID", help=argparse.SUPPRESS)


def the_id(args: Namespace) -> str:
    """The one task that is meant. Raises Refusal BAD_USAGE or BAD_ID."""
    given = [id for id in (args.id, args.id_flag) if id is not None]  # noqa: A001 - the word of the contract
    if len(set(given)) != 1:
        raise Refusal(RefusalReason.BAD_USAGE, "which task?" if not given else "two ids given", "give one ID")
    return checks.check_reference(given[0])
