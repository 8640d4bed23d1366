"""The verb service: have systemd start the supervisor, at boot or at login."""

from __future__ import annotations

import difflib
import os
import subprocess
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from ..proto import endpoint, presence
from ..proto.errors import EXIT_CONFLICT, EXIT_OK, Refusal, RefusalReason
from . import configure, connect, console, launch, parser, unit

if TYPE_CHECKING:
    from argparse import Namespace

RUNS = Path("/run/systemd/system")
"""There where systemd is the init."""
LINGER = Path("/var/lib/systemd/linger")
SYSTEMCTL_S = 60.0


def _arguments(to: parser.Parser) -> None:
    about = "write its unit, remove it, say how it stands"
    to.add_argument("what", choices=["install", "uninstall", "status"], metavar="install|uninstall|status", help=about)
    to.add_argument("--user", action="store_true", help="for this user's systemd (always so for all but root)")
    to.add_argument("--print", action="store_true", dest="only_print", help="print the unit and do nothing")
    to.add_argument("--now", action="store_true", help="start it too")
    to.add_argument("--force", action="store_true", help="over a unit that is different")
    to.add_argument("--config", metavar="FILE", type=parser.path, help="configuration (TSCHED_CONFIG)")


def _service(args: Namespace) -> int:
    return {"install": _install, "uninstall": _uninstall, "status": _status}[args.what](args)


def _unit(args: Namespace) -> unit.Unit:
    if args.system:
        return _shared_unit(args)
    config = launch.configured(args.config)
    named = endpoint.default_config_path()
    if not config and os.environ.get("XDG_CONFIG_HOME") and endpoint.is_there(named):
        config = ["--config", str(named)]  # systemd knows nothing of that variable
    return unit.build(
        user=args.user or os.geteuid() != 0,
        state_dir=connect.state_dir(args).absolute(),
        more=["--socket", str(connect.socket_path(args))] if args.socket else [],
        config=config,
        stop_s=configure.stop_timeout_s(args),
    )


def _shared_unit(args: Namespace) -> unit.Unit:
    """Of the service of several users. Raises Refusal BAD_USAGE for who cannot have it."""
    if args.user or os.geteuid() != 0:
        message = "the service of several users is root's, and no user's unit"
        raise Refusal(RefusalReason.BAD_USAGE, message, "sudo tsched service install --system")
    state_dir, socket = connect.system_places(args)
    return unit.build(
        user=False,
        state_dir=state_dir,
        more=["--socket", str(socket)] if socket != endpoint.SYSTEM_SOCKET else [],
        config=launch.configured(args.config),
        stop_s=configure.stop_timeout_s(args),
        system=True,
    )


def _install(args: Namespace) -> int:
    made = _unit(args)
    if args.only_print:
        console.put(made.text.rstrip("\n"))
        return EXIT_OK
    _check_written(made, force=args.force)
    _write(made)
    if args.json:
        console.put_json({"unit": str(made.path), "user": made.user})
    else:
        console.put(f"wrote {made.path}")
    others = _other_pid(args)
    _enable(made, now=args.now and others is None)
    _say_what_is_left(made, others, now=args.now)
    return EXIT_OK


def _check_written(made: unit.Unit, *, force: bool) -> None:
    """Raises Refusal, and shows the difference, where another unit stands."""
    written = made.written()
    if force or written in (None, made.text):
        return
    for line in difflib.unified_diff(written.splitlines(), made.text.splitlines(), "there", "new", lineterm=""):
        console.say(line)
    message = f"{made.path} exists and is different"
    raise Refusal(RefusalReason.WRONG_STATE, message, "--force writes over it")


def _write(made: unit.Unit) -> None:
    beside = made.path.with_name(f".{made.path.name}.new")
    try:
        made.path.parent.mkdir(parents=True, exist_ok=True)
        beside.write_text(made.text, "utf-8")
        beside.chmod(0o644)
        beside.replace(made.path)
    except OSError as error:
        message = f"cannot write {made.path}: {error.strerror}"
        raise Refusal(RefusalReason.INTERNAL, message, "use --user, or --print and put it in place yourself") from None


def _enable(made: unit.Unit, *, now: bool) -> None:
    enable = ["enable", *(["--now"] if now else []), unit.NAME]
    _systemctl(made, [["daemon-reload"], enable])


def _systemctl(made: unit.Unit, calls: list[list[str]]) -> None:
    """Do this, or say what to type where that cannot be done from here."""
    words = [[*made.systemctl, *call] for call in calls]
    if not RUNS.is_dir():
        typed = " && ".join(" ".join(each) for each in words)
        console.say(f"systemd does not run here; where it does, type: {typed}")
        return
    for each in words:
        done = subprocess.run(each, check=False, capture_output=True, timeout=SYSTEMCTL_S, stdin=subprocess.DEVNULL)
        if done.returncode != 0:
            why = done.stderr.decode(errors="replace").strip() or f"exit {done.returncode}"
            raise Refusal(RefusalReason.INTERNAL, f"{' '.join(each)}: {why}", "type it yourself to see more")


def _other_pid(args: Namespace) -> int | None:
    """The supervisor that runs on that state folder without systemd."""
    with suppress(Refusal):
        state_dir = connect.system_places(args)[0] if args.system else connect.state_dir(args)
        holding = presence.holder(presence.state_lock(state_dir))
        if holding is not None:
            with connect.connect(args) as client:
                status = client.status()
                return None if status.managed_by else status.pid
    return None


def _say_what_is_left(made: unit.Unit, other: int | None, *, now: bool) -> None:
    control = " ".join(made.systemctl)
    if other is not None:
        console.say(
            f"supervisor {other} runs on that state folder; to hand over: kill -TERM {other} (it waits for running "
            f"tasks, and leaves those that take longer to the next one), then {control} start {unit.NAME}"
        )
    elif not now:
        console.say(f"start it with: {control} start {unit.NAME}")
    if made.user and not (LINGER / _user_name()).exists():
        console.say("it runs while you are logged in; from boot on, and after a logout: loginctl enable-linger")


def _user_name() -> str:
    import pwd

    with suppress(KeyError):
        return pwd.getpwuid(os.geteuid()).pw_name
    return str(os.geteuid())


def _uninstall(args: Namespace) -> int:
    made = _unit(args)
    written = made.written()
    if written is None:
        raise Refusal(RefusalReason.WRONG_STATE, f"there is no {made.path}", "tsched service install makes it")
    if not written.startswith(unit.MARK) and not args.force:
        raise Refusal(RefusalReason.WRONG_STATE, f"{made.path} is none of ours", "--force removes it")
    if RUNS.is_dir():
        _systemctl(made, [["disable", unit.NAME]])
    for link in made.path.parent.glob(f"*.wants/{unit.NAME}"):
        link.unlink(missing_ok=True)
    made.path.unlink(missing_ok=True)
    _systemctl(made, [["daemon-reload"]])
    if args.json:
        console.put_json({"removed": str(made.path)})
    else:
        console.put(f"removed {made.path}; a service that runs goes on until tsched down")
    return EXIT_OK


def _status(args: Namespace) -> int:
    """Exits with 1 when nothing will bring the service back."""
    made = _unit(args)
    written = made.written()
    told = {
        "unit": str(made.path),
        "installed": written is not None,
        "current": written == made.text,
        "enabled": made.enabled,
    }
    if args.json:
        console.put_json(told)
    else:
        console.put(f"{made.path}: {_in_words(told)}")
    return EXIT_OK if made.enabled and written is not None else EXIT_CONFLICT


def _in_words(told: dict[str, object]) -> str:
    if not told["installed"]:
        return "not installed"
    words = ["installed", "enabled" if told["enabled"] else "not enabled"]
    return ", ".join(words if told["current"] else [*words, "not as install would write it now"])


VERBS = {"service": parser.Verb(arguments=_arguments, run=_service, local=True)}
