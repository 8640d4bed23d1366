r"""`--each-line`: from a list of lines to the commands that are run for them. Pure.

A line is what stands before a newline, byte for byte: an empty one counts, a carriage return stays, the last one needs
no newline; as `xargs -d '\n'` and GNU parallel read it. In a program's words `{}` stands for the line, wherever it
stands; no word holds it: the line is the last word. In a line for the shell `{}` stands for the quoted line, and must
stand where quotes mean what they say.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..proto.errors import Refusal, RefusalReason

if TYPE_CHECKING:
    from collections.abc import Sequence

PLACE = "{}"
ITEM = "TSCHED_ITEM"
COUNT_LIMIT = 500_000
"""Their ids still fit into one question (endpoint.MESSAGE_LIMIT)."""
NAME_BYTES = 100
_MISLEADING = ("`", "<<", "((", "$[", "$'")
"""Where a shell reads on with other rules: a quoted line would not come out of it as it went in."""
_WORD_BEGINS_BEHIND = " \t\n;&|()"


def split(data: bytes) -> list[str]:
    """The lines. Raises Refusal BAD_VALUE or TOO_LARGE that names the first one no command can be given."""
    if data.count(b"\n") > COUNT_LIMIT:
        raise Refusal(RefusalReason.TOO_LARGE, f"there are more than {COUNT_LIMIT} lines", "split the list")
    try:
        whole = data.decode()
    except UnicodeDecodeError as error:
        raise _unusable(data, error.start, "is not valid UTF-8") from None
    if "\0" in whole:
        raise _unusable(data, data.index(b"\0"), "holds a NUL byte")
    return whole.removesuffix("\n").split("\n") if whole else []


def _unusable(data: bytes, place: int, what: str) -> Refusal:
    number = data.count(b"\n", 0, place) + 1
    return Refusal(RefusalReason.BAD_VALUE, f"line {number} {what}", "write names that can be passed to a program")


def of_line(number: int, refusal: Refusal) -> Refusal:
    """The same refusal, saying which line it is about."""
    return Refusal(refusal.reason, f"line {number}: {refusal.message}", refusal.hint)


def words(template: Sequence[str], line: str) -> list[str]:
    """A program call for a line."""
    if any(PLACE in word for word in template):
        return [word.replace(PLACE, line) for word in template]
    return [*template, line]


def quoted(line: str) -> str:
    """The line as one word of a shell. Always in quotes: bare, it could be a keyword or an assignment."""
    return "'" + line.replace("'", "'\"'\"'") + "'"


def shell(template: str, line: str, place: str = PLACE) -> str:
    """A line for the shell in which the line of the list is one word, or part of one."""
    return template.replace(place, quoted(line))


def check_shell(template: str, place: str = PLACE) -> None:
    """Raises Refusal BAD_COMMAND where `{}` stands in a place in which quotes do not protect what is put there."""
    if place in template and (_misled(template, place) or any(_in_quotes(template, place))):
        hint = f'write {place} bare, it is quoted already; or write "$TSCHED_ITEM" instead'
        raise Refusal(RefusalReason.BAD_COMMAND, f"{place} stands where a line cannot be quoted safely", hint)


def _misled(template: str, mark: str) -> bool:
    return any(each in template for each in _MISLEADING) or "\\" + mark in template or "$" + mark in template


def _in_quotes(template: str, mark: str) -> list[bool]:
    """For each `{}` whether it stands in quotes."""
    found, quote, skip = [], "", 0
    for place, character in enumerate(template):
        if place < skip:
            continue
        if template.startswith(mark, place):
            found.append(bool(quote))
        elif character == "\\" and quote != "'":
            skip = place + 2
        elif quote:
            quote = "" if character == quote else quote
        elif character in "'\"":
            quote = character
        elif character == "#" and (place == 0 or template[place - 1] in _WORD_BEGINS_BEHIND):
            skip = (template + "\n").index("\n", place)
    return found


def name_of(line: str) -> str:
    """What to call a task whose command does not show its line."""
    return line.encode()[:NAME_BYTES].decode(errors="ignore")
