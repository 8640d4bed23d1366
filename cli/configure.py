"""The verb config: check what is written, have it heeded."""

from __future__ import annotations

import json
import subprocess
from typing import TYPE_CHECKING, Any

from ..proto.errors import EXIT_OK, Refusal, RefusalReason
from . import connect, console, launch, parser

if TYPE_CHECKING:
    from argparse import Namespace

CHECK_S = 60.0


def _arguments(to: parser.Parser) -> None:
    about = "find all mistakes; have a running service heed it"
    to.add_argument("what", choices=["check", "reload"], metavar="check|reload", help=about)
    to.add_argument("--config", metavar="FILE", type=parser.path, help="the file to check (TSCHED_CONFIG)")


def _config(args: Namespace) -> int:
    return _check(args) if args.what == "check" else _reload(args)


def _reload(args: Namespace) -> int:
    if args.config is not None:
        hint = "a service heeds the file it was started with: tsched down, tsched up -d --config FILE"
        raise Refusal(RefusalReason.BAD_USAGE, "config reload takes no --config", hint)
    from . import anew

    with connect.connect(args) as client:
        anew.put(anew.renew(client), as_json=args.json)
    return EXIT_OK


def _check(args: Namespace) -> int:
    found = _found(args)
    if not found["problems"]:
        _put_fine(found["config"], as_json=args.json)
        return EXIT_OK
    refusal = _refusal(found["problems"][0])
    if args.json:
        error = {"reason": refusal.reason, "message": refusal.message, "hint": refusal.hint}
        console.put_json({"error": error, "config": found["config"], "mistakes": found["mistakes"]})
        return refusal.exit_code
    for mistake in found["mistakes"]:
        console.say(f"{found['config']}: line {mistake['line']}: {mistake['key']} {mistake['message']}")
    if not found["mistakes"]:
        raise refusal
    return refusal.exit_code


def stop_timeout_s(args: Namespace) -> float:
    """The drain that is configured. Raises Refusal BAD_CONFIG."""
    found = _found(args)
    if found["problems"]:
        raise _refusal(found["problems"][0])
    return float(found["stop_timeout_s"])


def _put_fine(path: str | None, *, as_json: bool) -> None:
    if as_json:
        console.put_json({"config": path, "mistakes": []})
    else:
        console.put(f"{path} is free of mistakes" if path else "no configuration file: the defaults are in force")


def _refusal(problem: dict[str, str]) -> Refusal:
    return Refusal(RefusalReason(problem["reason"]), problem["message"], problem["hint"])


def _found(args: Namespace) -> Any:
    """What the supervisor, asked to check and nothing else, says. Raises Refusal INTERNAL when it cannot be asked."""
    words = [*launch.program(), "--check-config", *["--system"] * args.system, *launch.configured(args.config)]
    done = subprocess.run(words, check=False, capture_output=True, timeout=CHECK_S, stdin=subprocess.DEVNULL)
    try:
        return json.loads(done.stdout)
    except ValueError:
        last = (done.stderr.decode(errors="replace").strip().splitlines() or ["no word"])[-1]
        raise Refusal(RefusalReason.INTERNAL, f"the configuration cannot be checked: {last}") from None


VERBS = {"config": parser.Verb(arguments=_arguments, run=_config)}
