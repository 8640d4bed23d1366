"""The verb key: under which keys everything that is stored is, and a new key in place of the old."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ..proto.errors import EXIT_OK
from . import connect, console, parser, table

if TYPE_CHECKING:
    from argparse import Namespace

    from ..proto import api_pb2 as api

IN_CLEAR = "(in clear)"


def _arguments(to: parser.Parser) -> None:
    about = "tell of the keys; have a new one used, and everything that is stored sealed anew"
    to.add_argument("what", choices=["status", "rotate"], metavar="status|rotate", help=about)


def _key(args: Namespace) -> int:
    return _status(args) if args.what == "status" else _rotate(args)


def _status(args: Namespace) -> int:
    with connect.connect(args) as client:
        found = client.key_status()
    if args.json:
        console.put_json(status_json(found))
    else:
        console.put(status_text(found, console.columns()))
    return EXIT_OK


def _rotate(args: Namespace) -> int:
    step = ""
    with connect.connect(args) as client:
        for told in client.rotate_key():
            if told.step not in ("", step) and not args.json:
                console.say(f"sealing anew: {told.step}, step {told.steps_done + 1} of {told.steps}")
            step = told.step
    if args.json:
        console.put_json(progress_json(told))
    else:
        console.put(rotated_text(told))
    return EXIT_OK


def status_json(found: api.KeyStatusResponse) -> dict[str, Any]:
    """As `--json` has it. Pure."""
    return {
        "encryption": found.encryption,
        "origin": found.origin or None,
        "keys": list(found.keys),
        "fields": {key: many for key, many in sorted(found.fields.items()) if key},
        "fields_in_clear": found.fields.get("", 0),
        "output_in_clear": found.clear_output,
        "progress": progress_json(found.progress) if found.HasField("progress") else None,
    }


def progress_json(told: api.KeyProgress) -> dict[str, Any]:
    """As `--json` has it. Pure."""
    return {
        "key": told.key or None,
        "step": told.step or None,
        "steps_done": told.steps_done,
        "steps": told.steps,
        "fields": told.fields,
        "damaged": told.damaged,
        "done": told.done,
    }


def status_text(found: api.KeyStatusResponse, columns: int | None) -> str:
    """For people. Pure."""
    progress = found.progress
    pairs = [
        ("encryption", found.encryption),
        ("keys from", found.origin),
        ("output", "some is in clear" if found.clear_output else ""),
        ("underway", f"{progress.step}, step {progress.steps_done + 1} of {progress.steps}" if progress.step else ""),
    ]
    text = table.fields([pair for pair in pairs if pair[1]])
    ids = [*found.keys, *sorted(set(found.fields) - set(found.keys))]
    rows = [[each or IN_CLEAR, _role(each, found), f"{found.fields.get(each, 0)}"] for each in ids]
    return f"{text}\n\n{table.render(('KEY', 'USE', 'FIELDS'), rows, columns)}" if rows else text


def _role(key: str, found: api.KeyStatusResponse) -> str:
    if key not in found.keys:
        return "" if not key else "not here"
    return "seals" if key == found.keys[0] and found.encryption != "off" else "opens"


def rotated_text(told: api.KeyProgress) -> str:
    """What has been done. Pure."""
    done = f"everything is sealed by key {told.key}" if told.key else "everything is in clear"
    damaged = f"; {told.damaged} are damaged and stay as they are (tsched doctor)" if told.damaged else ""
    return f"{done}: {told.fields} fields and pieces of output sealed anew{damaged}"


VERBS = {"key": parser.Verb(arguments=_arguments, run=_key)}
