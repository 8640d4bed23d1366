"""Verbs for what can be called: functions, plugins."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any, NamedTuple

from ..proto import checks, durations
from ..proto.errors import EXIT_CONFLICT, EXIT_OK, Refusal, RefusalReason
from . import connect, console, escape, parser, table

if TYPE_CHECKING:
    from argparse import Namespace
    from collections.abc import Callable, Sequence

    from ..client.connection import Connection
    from ..proto import api_pb2 as api

FUNCTIONS_HEAD = ("NAME", "TAKES", "SOURCE", "ABOUT")
HEADER = "header"
PLUGINS_HEAD = ("NAME", "STATE", "KIND", "FUNCTIONS", "PATH", "MESSAGE")


def _functions_arguments(to: parser.Parser) -> None:
    to.add_argument("name", nargs="?", metavar="NAME", help="only this one, with all that is known of it")


def _functions(args: Namespace) -> int:
    with connect.connect_or_start(args) as client:
        found = client.functions()
    if args.name is not None:
        return _put_one(named(args.name, found), as_json=args.json)
    if args.json:
        console.put_json([function_json(each) for each in found])
    else:
        console.put(functions_table(found, console.columns()))
    return EXIT_OK


def named(name: str, found: Sequence[api.Function]) -> api.Function:
    """The function of this name or alias. Raises Refusal NO_SUCH_FUNCTION."""
    for each in found:
        if name == each.name or (each.alias and name == each.alias):
            return each
    near = parser.nearest(name, [word for each in found for word in (each.name, each.alias) if word])
    hint = f"did you mean {near}?" if near else "tsched functions lists them; tsched plugins list shows what failed"
    raise Refusal(RefusalReason.NO_SUCH_FUNCTION, f"no function is named {checks.quoted(name)}", hint)


def _put_one(function: api.Function, *, as_json: bool) -> int:
    if as_json:
        console.put_json(function_json(function))
    else:
        console.put(function_text(function))
    return EXIT_OK


def functions_table(found: Sequence[api.Function], columns: int | None) -> str:
    """One line for each: how it is called, and what it is for. Pure."""
    rows = [[each.name, _takes(each), each.source, _first_line(each.doc)] for each in found]
    return table.render(FUNCTIONS_HEAD, rows, columns)


def _takes(function: api.Function) -> str:
    return f"async {function.signature}" if function.is_async else function.signature


def _first_line(doc: str) -> str:
    return doc.strip().partition("\n")[0]


def function_text(function: api.Function) -> str:
    """All that is known of one. Pure."""
    pairs = [
        ("name", function.name),
        ("also", function.alias),
        ("takes", _takes(function)),
        ("source", function.source),
    ]
    shown = table.fields([*[pair for pair in pairs if pair[1]], *_options(function)])
    doc = "\n".join(escape.line(line) for line in function.doc.strip().splitlines())
    return f"{shown}\n\n{doc}" if doc else shown


def _options(function: api.Function) -> list[tuple[str, str]]:
    """What its author chose."""
    chosen = [("queue", function.queue), ("profile", function.profile)]
    chosen += [(name, str(getattr(function, name))) for name in ("priority", "retries") if function.HasField(name)]
    lengths = [("retry delay", "retry_delay_us"), ("timeout", "timeout_us")]
    chosen += [
        (name, durations.compact(getattr(function, field))) for name, field in lengths if function.HasField(field)
    ]
    return [(name, value) for name, value in chosen if value]


def function_json(function: api.Function) -> dict[str, Any]:
    """A function as --json has it: what its author did not choose is null."""
    from ..client.as_json import known, seconds

    return {
        "name": function.name,
        "alias": function.alias or None,
        "async": function.is_async,
        "native": function.native,
        "signature": function.signature,
        "doc": function.doc,
        "source": function.source,
        "queue": function.queue or None,
        "profile": function.profile or None,
        "priority": known(function, "priority"),
        "retries": known(function, "retries"),
        "retry_delay_s": seconds(known(function, "retry_delay_us")),
        "timeout_s": seconds(known(function, "timeout_us")),
    }


class Act(NamedTuple):
    """What can be done with plugins."""

    names: str
    """`no`, `one` or `maybe` a name."""
    do: Callable[[Connection, str], list[api.Plugin]]
    done: str


ACTS = {
    "list": Act("no", lambda client, _: client.plugins(), ""),
    "load": Act("one", lambda client, name: client.load(name), "is loaded"),
    "unload": Act("one", lambda client, name: client.unload(name), "is unloaded"),
    "reload": Act("maybe", lambda client, name: client.reload_functions(name), "is loaded anew"),
}


def _plugins_arguments(to: parser.Parser) -> None:
    words = [*ACTS, HEADER]
    about = "show where functions come from; load, unload, or read anew what has changed (without NAME: everything); "
    about += "header: print where tsched_plugin.h is, for plugins in C"
    to.add_argument("what", nargs="?", default="list", choices=words, metavar="|".join(words), help=about)
    to.add_argument("name", nargs="?", metavar="NAME", help="the plugin")


def _plugins(args: Namespace) -> int:
    """Exits with 1 when something could not be loaded that was asked for."""
    act = ACTS.get(args.what, Act("no", lambda _, __: [], ""))
    _check_name(args, act)
    if args.what == HEADER:
        return _put_header(as_json=args.json)
    with connect.connect_or_start(args) as client:
        plugins = act.do(client, args.name or "")
    if args.json:
        console.put_json([plugin_json(each) for each in plugins])
    elif args.name:
        functions = next((len(each.functions) for each in plugins if each.name == args.name), 0)
        console.put(f"{args.name} {act.done}{_count(functions) if args.what != 'unload' else ''}")
    else:
        console.put(plugins_table(plugins, console.columns()))
    wrong = args.what == "reload" and any(each.message for each in plugins)
    return EXIT_CONFLICT if wrong and not args.name else EXIT_OK


def _put_header(*, as_json: bool) -> int:
    """Where the header of native plugins is; no service need run."""
    path = os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "executor", "tsched_plugin.h")
    if as_json:
        console.put_json({"path": path})
    else:
        console.put(path)
    return EXIT_OK


def _count(functions: int) -> str:
    return f": {functions} function{'s'[: functions != 1]}"


def _check_name(args: Namespace, act: Act) -> None:
    if act.names == "one" and not args.name:
        raise Refusal(RefusalReason.BAD_USAGE, "which plugin?", f"tsched plugins {args.what} NAME")
    if act.names == "no" and args.name:
        raise Refusal(RefusalReason.BAD_USAGE, f"plugins {args.what} takes no name", "tsched plugins list")


def plugins_table(plugins: Sequence[api.Plugin], columns: int | None) -> str:
    """One line for each source; what is wrong with one stands last. Pure."""
    rows = [[each.name, each.state, each.kind, str(len(each.functions)), each.path, each.message] for each in plugins]
    keep = [place for place, _ in enumerate(PLUGINS_HEAD) if any(row[place] for row in rows)]
    return table.render(
        [PLUGINS_HEAD[place] for place in keep], [[row[place] for place in keep] for row in rows], columns
    )


def plugin_json(plugin: api.Plugin) -> dict[str, Any]:
    """A source as --json has it."""
    from ..client.as_json import instant, known

    return {
        "name": plugin.name,
        "kind": plugin.kind,
        "path": plugin.path or None,
        "state": plugin.state,
        "message": plugin.message or None,
        "functions": list(plugin.functions),
        "generation": plugin.generation or None,
        "loaded_at": instant(known(plugin, "loaded_at_us")),
    }


VERBS = {
    "functions": parser.Verb(arguments=_functions_arguments, run=_functions),
    "plugins": parser.Verb(arguments=_plugins_arguments, run=_plugins),
}
