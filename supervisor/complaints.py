"""What is said of functions and sources that cannot be had, and how to get them. Pure."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from difflib import get_close_matches

from ..proto import checks
from ..proto.errors import Refusal, RefusalReason
from ..proto.values import SourceKind
from .entries import NAME_LIMIT, Origin
from .held import FAILED, UNLOADED, Held

STAYS = "its newest code"
"""So begins what is said of a source that stays as it was."""
SHOWN_WRONG = 5
_MEND = "mend it, then: tsched plugins reload"


def summed_up(wrong: Sequence[str]) -> str:
    """The first few of these in one line, and how many more there are."""
    more = len(wrong) - SHOWN_WRONG
    return "; ".join([*wrong[:SHOWN_WRONG], *([f"and {more} more"] if more > 0 else [])])


def check_loaded(name: str, held: Held | None) -> None:
    """Raises Refusal PLUGIN_FAILED for a source that is not what it is on disk."""
    if held is not None and held.state == FAILED:
        raise Refusal(RefusalReason.PLUGIN_FAILED, f"{name} could not be loaded: {held.message}", _MEND)
    if held is not None and held.message.startswith(STAYS):
        raise Refusal(RefusalReason.PLUGIN_FAILED, f"{name} stays as it was: {held.message}", _MEND)


def no_source(name: str, names: Collection[str]) -> Refusal:
    """There is no such source; there are these."""
    hint = _meant(name, names) or "tsched plugins list shows what there is"
    return Refusal(RefusalReason.NO_SUCH_PLUGIN, f"no plugin is named {checks.quoted(name)}", hint)


def not_to_unload(origin: Origin) -> Refusal:
    """Only plugins are unloaded."""
    message = f"{origin.name} is no plugin of the library folder"
    built_in = origin.kind == SourceKind.BUILTIN
    hint = (
        "what is built in is always there" if built_in else "take it out of the configuration, then tsched up --replace"
    )
    return Refusal(RefusalReason.WRONG_STATE, message, hint)


def no_function(name: str, source: Held | None, names: Collection[str]) -> Refusal:
    """There is no such function; there are these. `source`: the one that it would be of."""
    message, hint = f"no function is named {checks.quoted(name)}", ""
    if source is not None and source.state == UNLOADED:
        message, hint = f"{message}: {source.origin.name} is unloaded", f"tsched plugins load {source.origin.name}"
    elif source is not None and source.state == FAILED:
        message, hint = f"{message}: {source.origin.name} could not be loaded: {source.message}", _MEND
    hint = hint or _meant(name, names) or "tsched functions lists what there is"
    return Refusal(RefusalReason.NO_SUCH_FUNCTION, message, hint)


def _meant(name: str, names: Collection[str]) -> str:
    """The name that was probably meant; of what is too long to be one none is looked for, which would take long."""
    near = get_close_matches(name, names, n=1) if len(name) <= NAME_LIMIT else []
    return f"did you mean {near[0]}?" if near else ""
