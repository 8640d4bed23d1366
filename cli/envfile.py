"""Files of variables, as docker and systemd read them: NAME=VALUE a line. Pure.

Blank lines and lines that begin with `#` are skipped. `export ` may stand before the name, and a pair of equal quotes
around the value; nothing in it is expanded. Blanks around a value without quotes are dropped. A refusal names the
line, never what stands there: such files hold secrets.
"""

from __future__ import annotations

import re

from ..proto import checks
from ..proto.errors import Refusal, RefusalReason

_LINE = re.compile(r"(?:export[ \t]+)?([A-Za-z_][A-Za-z0-9_.-]*)=(.*)", re.ASCII | re.DOTALL)
_QUOTES = "'\""


def parse(data: bytes, name: str) -> dict[str, str]:
    """The variables in a file of this name. Raises Refusal BAD_ENVIRONMENT with the name and the line's number."""
    variables: dict[str, str] = {}
    for number, line in enumerate(data.removeprefix(b"\xef\xbb\xbf").split(b"\n"), 1):
        where = f"{checks.quoted(name, 200)}, line {number}"
        text = _text(line, where).strip(" \t\r")
        if text and not text.startswith("#"):
            variables |= _variable(text, where)
    return variables


def _text(line: bytes, where: str) -> str:
    try:
        return line.decode()
    except UnicodeDecodeError:
        raise _wrong(where, "it is not valid UTF-8") from None


def _variable(text: str, where: str) -> dict[str, str]:
    found = _LINE.fullmatch(text)
    if found is None:
        raise _wrong(where, "not a variable")
    variable = {found[1]: _value(found[2].strip(" \t"), where)}
    try:
        checks.check_env(variable)
    except Refusal as refusal:
        raise Refusal(refusal.reason, f"{where}: {refusal.message}", refusal.hint) from None
    return variable


def _value(text: str, where: str) -> str:
    if not text.startswith(tuple(_QUOTES)):
        return text
    inner = text[1:-1]
    if len(text) < len(_QUOTES) or text[-1] != text[0] or text[0] in inner:
        raise _wrong(where, "the quotes are not a pair around the value")
    return inner


def _wrong(where: str, what: str) -> Refusal:
    return Refusal(RefusalReason.BAD_ENVIRONMENT, f"{where}: {what}", "write NAME=VALUE, NAME='VALUE' or # a comment")
