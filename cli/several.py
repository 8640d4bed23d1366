"""One thing done to one task, or to each of several: every one is tried, whatever becomes of the others."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from ..proto import checks
from ..proto.errors import EXIT_OK, Refusal, RefusalReason
from . import connect, console

if TYPE_CHECKING:
    from argparse import Namespace

    from ..client.connection import Connection
    from ..proto import api_pb2 as api
    from . import parser

T = TypeVar("T")

NOTES = """Of several tasks each is tried; one that fails is told, and the exit code is the first failure's. With --json
one task is answered with an object, several with a list in the order typed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Deed(Generic[T]):
    """What is done to a task, and how the answer is shown."""

    do: Callable[[Connection, str], T]
    word: Callable[[str, T], str]
    """For stdout: an id."""
    plain: Callable[[str, T], Any]
    """For `--json`."""
    notice: Callable[[str, T], str] = lambda _id, _answer: ""
    """For stderr; empty: nothing needs to be said."""


def add_ids(to: parser.Parser) -> None:
    """The tasks that are meant, as ID... or --id ID."""
    to.usage = f"{to.prog} [options] ID..."
    to.epilog = NOTES
    to.add_argument("ids", nargs="*", metavar="ID", help="the task, or several")
    to.add_argument("--id", dest="id_flags", metavar="ID", action="append", help="the same as ID; may be repeated")


def plain_task(_id: str, task: api.Task) -> Any:
    """The task for `--json`."""
    from ..client import as_json

    return as_json.task(task)


def the_ids(args: Namespace) -> list[str]:
    """The tasks that are meant, each once, as typed. Raises Refusal BAD_USAGE or BAD_ID."""
    ids = list(dict.fromkeys(map(checks.check_reference, [*args.ids, *(args.id_flags or [])])))
    if not ids:
        raise Refusal(RefusalReason.BAD_USAGE, "which tasks?", "give at least one ID")
    return ids


def to_each(args: Namespace, deed: Deed[T]) -> int:
    """Do it, and show what came of it; the exit code is the first failure's."""
    ids = the_ids(args)
    with connect.connect_or_start(args) as client:
        if len(ids) == 1:
            _put(deed, ids[0], deed.do(client, ids[0]), as_json=args.json)
            return EXIT_OK
        return _tried(client, ids, deed, as_json=args.json)


def _tried(client: Connection, ids: list[str], deed: Deed[T], *, as_json: bool) -> int:
    code, shown = EXIT_OK, []
    for place, id in enumerate(ids):  # noqa: A001 - the word of the contract
        try:
            answer = deed.do(client, id)
        except Refusal as refusal:
            code = code or refusal.exit_code
            gone = refusal.reason is RefusalReason.NO_SUPERVISOR
            shown += [_failed(each, refusal) for each in (ids[place:] if gone else [id])]
            if not as_json:
                console.refuse(refusal, as_json=False)
            if gone:  # and with it whoever could be asked about the others
                break
        else:
            shown.append(deed.plain(id, answer))
            if not as_json:
                _put(deed, id, answer, as_json=False)
    if as_json:
        console.put_json(shown)
    return code


def _failed(id: str, refusal: Refusal) -> dict[str, Any]:  # noqa: A002 - the word of the contract
    return {"id": id, "error": console.error_of(refusal)}


def _put(deed: Deed[T], id: str, answer: T, *, as_json: bool) -> None:  # noqa: A002 - the word of the contract
    if as_json:
        console.put_json(deed.plain(id, answer))
        return
    console.put(deed.word(id, answer))
    if notice := deed.notice(id, answer):
        console.say(notice)
