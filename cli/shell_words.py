"""What may come next in the line that is typed at the shell: verbs, flags, and what the supervisor knows by name."""

from __future__ import annotations

import shlex
from contextlib import suppress
from functools import cache
from importlib import import_module
from typing import TYPE_CHECKING, NamedTuple

from prompt_toolkit.completion import CompleteEvent, Completer, Completion, PathCompleter
from prompt_toolkit.document import Document

from ..proto.errors import Refusal
from ..proto.values import TaskState
from . import connect, escape, parser, shell

if TYPE_CHECKING:
    import argparse
    from argparse import Namespace
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from ..client.connection import Connection

IDS_SHOWN = 50
IDS, FUNCTIONS, PLUGINS = "ids", "functions", "plugins"
KIND_OF_METAVAR = {"ID": IDS, "ID[:ok|fail|any]": IDS, "FUNCTION": FUNCTIONS}
KIND_OF_NAME = {"functions": FUNCTIONS, "plugins": PLUGINS}
"""What NAME stands for in these verbs."""
PATHS = ("FILE", "PATH", "DIR")


class Word(NamedTuple):
    """A word that may come next, and what it means."""

    text: str
    about: str = ""


class Words(Completer):
    """Completes the line. The supervisor is asked anew each time, and never started for it."""

    def __init__(self, everywhere: Sequence[str]) -> None:
        self._everywhere = list(everywhere)
        self._paths = PathCompleter(expanduser=False)

    def get_completions(self, document: Document, complete_event: CompleteEvent) -> Iterable[Completion]:
        """All words that may stand where the cursor is."""
        read = split(document.text_before_cursor)
        if read is None:
            return
        before, begun = read
        for word in possible(before, begun, self._known):
            if word.text.startswith(begun):
                about = escape.fit(escape.line(word.about), 60)
                yield Completion(shlex.quote(word.text), -len(begun), display=word.text, display_meta=about)
        if _stands_for(before, begun) in PATHS:
            yield from self._paths.get_completions(Document(begun), complete_event)

    def _known(self, kind: str) -> Iterable[Word]:
        """What the supervisor knows of that kind; nothing where none answers."""
        with suppress(Refusal, OSError):
            args = _where(self._everywhere)
            if connect.there_now(args):
                with connect.connect(args) as client:
                    return list(ASK[kind](client))
        return []


def _where(everywhere: Sequence[str]) -> Namespace:
    to = parser.Parser(prog="tsched", description="")
    parser.add_global(to)
    return to.parse_args(everywhere)


def _ids(client: Connection) -> Iterator[Word]:
    from ..client.doing import work
    from ..proto import api_pb2 as api

    for task in client.list_page(api.ListRequest(page_size=IDS_SHOWN)).tasks:
        yield Word(task.id, f"{task.state}  {task.name or work(task)}")


def _functions(client: Connection) -> Iterator[Word]:
    for each in client.functions():
        yield Word(each.name, each.signature)


def _plugins(client: Connection) -> Iterator[Word]:
    for each in client.plugins():
        yield Word(each.name, each.state)


ASK: dict[str, Callable[[Connection], Iterator[Word]]] = {IDS: _ids, FUNCTIONS: _functions, PLUGINS: _plugins}


def split(line: str) -> tuple[list[str], str] | None:
    """The words before the cursor, and the begin of the one at it; None within quotes."""
    try:
        words = shlex.split(line)
    except ValueError:
        return None
    if not line or line[-1].isspace():
        return words, ""
    begun = line.rsplit(maxsplit=1)[-1]
    return (words[:-1], begun) if words and words[-1] == begun else None


def possible(before: Sequence[str], begun: str, known: Callable[[str], Iterable[Word]]) -> Iterator[Word]:
    """The words that may come next; `known` asks for ids, functions or plugins. Pure but for that."""
    before = before[1:] if before[:1] == ["tsched"] else before
    if not before or before[0] == "help":
        yield from _verbs(with_own=not before)
        return
    if before[0] in shell.PLUGIN_WORDS:
        before = ["plugins", *before]
    if begun.startswith("-"):
        yield from _flags(before)
        return
    action = _action(before)
    if action is None:
        return
    if action.choices:
        yield from (Word(str(each)) for each in action.choices)
    elif action.metavar == "STATE":
        yield from (Word(str(each)) for each in TaskState)
    elif kind := KIND_OF_METAVAR.get(str(action.metavar)):
        yield from known(kind)
    elif action.metavar == "NAME" and not action.option_strings and before[0] in KIND_OF_NAME:
        yield from known(KIND_OF_NAME[before[0]])


def _verbs(*, with_own: bool) -> Iterator[Word]:
    from .main import VERBS

    own = shell.OWN if with_own else {}
    yield from (Word(name, about) for name, about in own.items())
    yield from (Word(name, about) for name, (_, about) in VERBS.items())


@cache
def _parser_of(verb: str) -> parser.Parser | None:
    from .main import VERBS

    if verb not in VERBS:
        return None
    module, about = VERBS[verb]
    to = parser.Parser(prog=verb, description=about)
    known: parser.Verb = import_module(f".{module}", __package__).VERBS[verb]
    parser.add_global(to, local=known.local)
    known.arguments(to)
    return to


def _flags(before: Sequence[str]) -> Iterator[Word]:
    to = _parser_of(before[0])
    if to is not None and parser.SEPARATOR not in before:
        for action in to._actions:  # noqa: SLF001 - argparse has no other way to look
            yield from (Word(flag, action.help or "") for flag in action.option_strings)


def _action(before: Sequence[str]) -> argparse.Action | None:
    """The flag whose value comes next, else the argument without a name whose turn it is."""
    to = _parser_of(before[0])
    if to is None or parser.SEPARATOR in before:
        return None
    of_flag = {flag: each for each in to._actions for flag in each.option_strings}  # noqa: SLF001
    unnamed = [each for each in to._actions if not each.option_strings]  # noqa: SLF001
    pending, count = None, 0
    for word in before[1:]:
        if pending is None and word.startswith("-"):
            flag = of_flag.get(word)
            pending = flag if flag is not None and flag.nargs != 0 else None
        elif pending is not None:
            pending = None
        else:
            count += 1
    if pending is not None:
        return pending
    if count < len(unnamed):
        return unnamed[count]
    return unnamed[-1] if unnamed and unnamed[-1].nargs == "*" else None


def _stands_for(before: Sequence[str], begun: str) -> str:
    """The metavar of what comes next."""
    if not before or begun.startswith("-"):
        return ""
    action = _action(before)
    return str(action.metavar) if action is not None else ""
