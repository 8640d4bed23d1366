"""Files that people write: config.toml and workflows. Every mistake is told in a line, with its line and key."""

from __future__ import annotations

import io
import json
from argparse import Namespace
from contextlib import redirect_stderr, redirect_stdout
from typing import TYPE_CHECKING, Any

from hypothesis import strategies as st

from support.fuzz import fair, fuzzed
from support.messages import damaged
from tsched.cli import workflow
from tsched.cli.workflow_keys import COMMON, ONE
from tsched.proto.errors import EXIT_OK, EXIT_USAGE, Refusal, RefusalReason
from tsched.supervisor import config
from tsched.supervisor.config_keys import FUNCTIONS, PROFILE, SECTIONS

if TYPE_CHECKING:
    from pathlib import Path

texts = [
    "",
    "a",
    "/",
    "~",
    "~nobody/x",
    "~\\u0000",
    "\\u0000",
    "{item}",
    "{index}",
    "a:fail",
    "id:7",
    "id:",
    "b.0",
    "1h",
]
texts += ["on", "loud", "127.0.0.1:1", "[::1]:1", "x:99999", "add", "é", "\\n", "now + 1 s", "0o22", "A=B", "builtin"]
scalars = [
    *(f'"{each}"' for each in texts),
    "'{item}'",
    '"""x\n[tasks.y]\n"""',
    "0",
    "-1",
    "1",
    "3",
    "1.5",
    "inf",
    "-nan",
]
scalars += [
    "true",
    "9223372036854775808",
    "9" * 5000,
    "1e400",
    "1979-05-27",
    "07:32:00",
    "1979-05-27T07:32:00Z",
    "0xff",
]
scalars += [
    "[" * 200 + "]" * 200,
    "{ result_of = 'a' }",
    "{ '@map' = { a = 1 } }",
    "[[1], ['{item}']]",
    "{ item = '' }",
]
one = st.sampled_from(scalars)
values: Any = (
    one
    | one
    | st.builds("[{}, {}]".format, one, one)
    | st.builds("{{ {} = {} }}".format, st.sampled_from(["a", "env", "open_files", "'é'", "result_of", "''"]), one)
)
strange = st.sampled_from(
    ["", "#", "=", "[", "]]", "\r", "\0", "\ufeff", 'a = """', "a.b.c = 1", "'' = 1", "[a", "[[a]]"]
)


def lines(headers: list[str], keys: list[str]) -> Any:
    """Text of lines that nearly always could stand in such a file."""
    line = (
        st.sampled_from(headers)
        | st.builds("{} = {}".format, st.sampled_from([*keys, *keys, "nope", "'a b'", '"\\n"', "a.b"]), values)
        | strange
    )
    text = st.lists(line, max_size=10).map(lambda some: "\n".join(some).encode())
    return text | damaged(text) | st.binary(max_size=40)


OF_CONFIG = [key for section in SECTIONS.values() for key in section] + [*FUNCTIONS, *PROFILE]
CONFIG_HEADERS = [
    *(f"[{each}]" for each in SECTIONS),
    "[profiles.default]",
    "[profiles.'a b']",
    "[[functions]]",
    "[functions]",
]
WORKFLOW_HEADERS = [
    "[defaults]",
    "[tasks.a]",
    "[tasks.b]",
    "[tasks.c.env]",
    "[tasks.id]",
    "[tasks.'é']",
    "[tasks]",
    "[[tasks.d]]",
]


@fuzzed(data=lines(CONFIG_HEADERS, OF_CONFIG))
def test_a_configuration_is_loaded_or_refused_with_lines_and_keys(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "config.toml"
    path.write_bytes(data)
    try:
        config.load(path)
    except config.BadConfig as refusal:
        fair(refusal)
        names_file_and_lines(refusal, path, data.count(b"\n") + 1)


def names_file_and_lines(refusal: config.BadConfig, path: Path, last: int) -> None:
    assert str(path) in refusal.message
    assert all(1 <= each.line <= last and each.key and each.what for each in refusal.mistakes)


@fuzzed(data=lines(WORKFLOW_HEADERS, [*ONE, *COMMON, "env.A"]), as_json=st.booleans())
def test_a_workflow_is_planned_or_refused_with_lines_and_keys(tmp_path: Path, data: bytes, as_json: bool) -> None:
    path = tmp_path / "tasks.toml"
    path.write_bytes(data)
    out, told = io.StringIO(), io.StringIO()
    with redirect_stdout(out), redirect_stderr(told):
        try:
            code = workflow._submit(Namespace(file=str(path), dry_run=True, json=as_json))
        except Refusal as refusal:
            fair(refusal, RefusalReason.BAD_USAGE, RefusalReason.TOO_LARGE)
            return
    assert code in (EXIT_OK, EXIT_USAGE)
    assert not as_json or json.loads(out.getvalue())
    assert all(": line " in each for each in told.getvalue().splitlines())
