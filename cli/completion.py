"""The verb that teaches shells our words: completion.

The script is made from the parsers of all verbs and stands alone: no TAB starts a Python. shtab writes it; what it
cannot know is added behind: after `--` stands a command of somebody else's.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from ..proto.errors import EXIT_OK
from ..proto.values import TaskState
from . import console, parser

if TYPE_CHECKING:
    import argparse
    from argparse import Namespace

NOTES = """For bash, in ~/.bashrc: eval "$(tsched completion bash)". For zsh, in ~/.zshrc behind compinit:
eval "$(tsched completion zsh)". For fish: tsched completion fish > ~/.config/fish/completions/tsched.fish. The script
does not start tsched; make it anew after an upgrade."""

FILES = ("FILE", "PATH")
FOLDERS = ("DIR",)
"""Metavars of what stands for a file or a folder."""

BASH = """
_tsched() {
  local place
  for ((place = 1; place < COMP_CWORD; place++)); do
    [[ ${COMP_WORDS[place]} == -- ]] || continue
    if declare -F _command_offset > /dev/null; then
      _command_offset $((place + 1))
    elif ((place + 1 == COMP_CWORD)); then
      mapfile -t COMPREPLY < <(compgen -c -- "${COMP_WORDS[COMP_CWORD]}")
    else
      COMPREPLY=()
    fi
    return
  done
  _shtab_tsched
}
complete -o bashdefault -o default -F _tsched tsched
"""
ZSH = """
_tsched() {
  local place=${words[(i)--]}
  if (( place < CURRENT )); then
    shift place words
    (( CURRENT -= place ))
    _normal
  else
    _shtab_tsched "$@"
  fi
}
if [[ $zsh_eval_context[-1] == eval ]]; then
  compdef _tsched tsched
fi
"""
FISH = """
function _tsched_behind_dashes
  contains -- -- (commandline -opc)
end
function _tsched_command
  set -l words (commandline -opc)
  set -l place (contains -i -- -- $words)
  set -e words[1..$place]
  complete -C (string join ' ' -- (string escape -- $words) (commandline -ct))
end
complete -c tsched -n _tsched_behind_dashes -xa '(_tsched_command)'
"""
ADDED = {"bash": BASH, "zsh": ZSH, "fish": FISH}


def _arguments(to: parser.Parser) -> None:
    to.epilog = NOTES
    to.add_argument("shell", choices=list(ADDED), metavar="|".join(ADDED), help="the shell that is to read it")


def _completion(args: Namespace) -> int:
    script = _script(args.shell)
    if args.json:
        console.put_json({"shell": args.shell, "script": script})
    else:
        console.put(script.rstrip())
    return EXIT_OK


def _script(shell: str) -> str:
    import shtab

    return shtab.complete(whole(), shell) + ADDED[shell]


def whole() -> parser.Parser:
    """One parser of everything: the words before a verb, the verbs, and what each takes."""
    from .main import VERBS as KNOWN

    root = parser.Parser(prog="tsched", description="")
    root.add_argument("--version", action="store_true", help="print the version")
    parser.add_global(root)
    verbs = root.add_subparsers()
    for name, (module, about) in KNOWN.items():
        to = verbs.add_parser(name, help=about, description=about)
        verb: parser.Verb = import_module(f".{module}", __package__).VERBS[name]
        parser.add_global(to, local=verb.local)
        verb.arguments(to)
        _tell_kinds(to)
    _tell_kinds(root)
    return root


def _tell_kinds(of: parser.Parser) -> None:
    """Say of each argument what may stand there, as far as its metavar tells."""
    import shtab

    kinds = {**dict.fromkeys(FILES, shtab.FILE), **dict.fromkeys(FOLDERS, shtab.DIRECTORY)}
    for action in of._actions:  # noqa: SLF001 - argparse has no other way to look
        _tell_kind(action, kinds)


def _tell_kind(action: argparse.Action, kinds: dict[str, Any]) -> None:
    if action.metavar in kinds:
        action.complete = kinds[action.metavar]  # type: ignore[attr-defined]
    elif action.metavar == "STATE":
        action.choices = [str(state) for state in TaskState]


VERBS = {"completion": parser.Verb(arguments=_arguments, run=_completion, local=True)}
