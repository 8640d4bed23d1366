"""The verb cert: make certificates to try TLS with, and show what a file holds."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..proto import checks, pem
from ..proto.errors import EXIT_OK, Refusal, RefusalReason
from . import console, parser

if TYPE_CHECKING:
    from argparse import Namespace

    from .authority import Made

DAYS = 365
DAYS_RANGE = (1, 3650)
NOTES = """init makes an authority (ca.crt, ca.key), a certificate for the service (server.crt, server.key), good for
127.0.0.1, ::1, localhost and every --host, and one for each --client (client-NAME.crt, client-NAME.key; one named after
you by default), which says tsched://client/NAME. Into DIR, or this folder; nothing is ever written over, but where DIR
has an authority already, it signs what is missing. Whoever has ca.key can let in anybody: keep it elsewhere, or throw
it away when no more clients are to come. show prints what the certificates in FILE say."""


def _arguments(to: parser.Parser) -> None:
    to.usage = "tsched cert init [DIR] [--host HOST]... [--client NAME]... [--days N] | show FILE"
    to.epilog = NOTES
    to.add_argument("what", choices=["init", "show"], metavar="init|show", help="make some; show what one says")
    to.add_argument("path", nargs="?", metavar="PATH", help="the folder to make, or the file to show")
    to.add_argument("--host", metavar="HOST", action="append", help="a name or IP address of the service; repeatable")
    to.add_argument("--client", metavar="NAME", action="append", help="who shall get in; may be repeated")
    to.add_argument("--days", metavar="N", type=parser.count, help=f"how long they are good; {DAYS} by default")


def _cert(args: Namespace) -> int:
    return (_init if args.what == "init" else _show)(args)


def _init(args: Namespace) -> int:
    from . import authority

    days = checks.check_range(DAYS if args.days is None else args.days, "--days", *DAYS_RANGE)
    folder = parser.path(args.path or ".")
    hosts = list(dict.fromkeys(map(authority.host, args.host or [])))
    clients = list(dict.fromkeys(map(authority.client_name, args.client or [authority.own_name()])))
    made = authority.make(folder, hosts, clients, days)
    if args.json:
        console.put_json(made.as_json())
    else:
        console.put(_in_words(made))
    return EXIT_OK


def _in_words(made: Made) -> str:
    """What was made, and what to type next."""
    quoted = parser.quoted_for_shell
    lines = [f"made {path}" for path in made.files]
    host, files = made.hosts[0], {name: quoted(str(path)) for name, path in made.of_client(made.clients[0]).items()}
    lines += ["", "the service, for those who have a certificate of this authority:", ""]
    server = {name: quoted(str(path)) for name, path in made.of_server.items()}
    listen = "127.0.0.1" if host == "127.0.0.1" else "0.0.0.0"  # noqa: S104 - that is what it takes to be reached
    lines += [f"    tsched up -d --addr {listen}:50051 \\"]
    lines += [f"        --tls-cert {server['cert']} --tls-key {server['key']} --tls-ca-cert {server['ca_cert']}"]
    lines += ["", f"and {made.clients[0]}, wherever ca.crt and the two files of client-{made.clients[0]} are:", ""]
    lines += [f"    export TSCHED_ADDR={host if ':' not in host else f'[{host}]'}:50051 \\"]
    lines += [f"        TSCHED_TLS_CA_CERT={files['ca_cert']} \\"]
    lines += [f"        TSCHED_TLS_CERT={files['cert']} TSCHED_TLS_KEY={files['key']}"]
    lines += ["    tsched status"]
    return "\n".join(lines)


def _show(args: Namespace) -> int:
    if args.host or args.client or args.days is not None:
        raise Refusal(RefusalReason.BAD_USAGE, "cert show takes a file and nothing else", "cert init takes the others")
    if args.path is None:
        raise Refusal(RefusalReason.BAD_USAGE, "which file?", "tsched cert show FILE")
    from . import authority

    path = parser.path(args.path)
    shown = authority.told(pem.read_file(path), path)
    if args.json:
        console.put_json(shown)
    else:
        console.put("\n\n".join(_text(each) for each in shown))
    return EXIT_OK


def _text(each: dict[str, object]) -> str:
    from . import escape

    width = max(map(len, each))
    lines = ((name, value) for name, value in each.items() if value not in (None, [], ""))
    return "\n".join(f"{name.replace('_', ' '):<{width}}  {escape.line(_words(value))}" for name, value in lines)


def _words(value: object) -> str:
    if isinstance(value, list):
        return ", ".join(map(str, value))
    return {True: "yes", False: "no"}[value] if isinstance(value, bool) else str(value)


VERBS = {"cert": parser.Verb(arguments=_arguments, run=_cert, local=True, mixed=True)}
