"""A little day of a scheduler, played with the `tsched` command line as a user would. `make demo` runs it.

It brings up a service on a temporary folder, gives it all kinds of work over the files of this checkout, shows what
came of it, and checks every single result: it exits with 0 only when all of them are what they must be.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

TSCHED = shutil.which("tsched", path=f"{Path(sys.executable).parent}:{os.environ.get('PATH', os.defpath)}")
CHECKOUT = Path(__file__).resolve().parent.parent
FOLDERS = ("cli", "executor", "proto", "store", "supervisor")
QUOTED = r"""grep -rhoE '"[a-z]+_[a-z_]+"' proto/*.py | tr -d '"' | sort -u | awk '{ print NR ": " $0 }' | tail -n 3"""
WORDS = ["two words", "it's 5 o'clock", "Grüße, 世界 ✓", "$HOME; rm -rf *"]
STEPS = 5


@dataclass
class Day:
    """One service, and what must become of the tasks it was given."""

    folder: Path
    must: dict[str, dict[str, Any]] = field(default_factory=dict)
    wrong: list[str] = field(default_factory=list)

    @property
    def packed(self) -> Path:
        """Where the archives go."""
        return self.folder / "packed"

    def start(self, *args: str) -> subprocess.Popen[str]:
        """Starts `tsched ARGS`."""
        return subprocess.Popen(
            [str(TSCHED), *args],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            text=True,
            cwd=CHECKOUT,
            env=self.environment,
        )

    @property
    def environment(self) -> dict[str, str]:
        """The user's, without any service of theirs, and with this one's folders."""
        theirs = {name: value for name, value in os.environ.items() if not name.startswith("TSCHED_")}
        return theirs | {"TSCHED_STATE_DIR": f"{self.folder}/state", "XDG_RUNTIME_DIR": str(self.folder)}

    def tsched(self, *args: str) -> str:
        """What `tsched ARGS` printed. Ends the day when it failed: nothing that follows would mean anything."""
        call = self.start(*args)
        said = call.communicate()[0].rstrip("\n")
        if call.returncode:
            sys.exit(f"tsched {args[0]} exited with {call.returncode}")
        return said

    def submit(self, name: str, *args: str, verb: tuple[str, ...] = ("run", "--detach"), **must: Any) -> str:
        """Gives the service a task and notes what must become of it; the id."""
        task = self.tsched(*verb, "--name", name, "--env", f"OUT={self.packed}", *args)
        self.must[task] = {"state": "succeeded", "exit_code": 0, **must}
        return task

    def expect(self, what: str, found: Any, wanted: Any) -> None:
        """Notes a result that is not what it must be."""
        if found != wanted:
            self.wrong.append(f"{what} {found!r}, not {wanted!r}")


@contextmanager
def service() -> Iterator[Day]:
    """A service of its own on a temporary folder, gone afterwards."""
    folder = Path(tempfile.mkdtemp(prefix="tsched-demo-"))
    day = Day(folder)
    day.packed.mkdir()
    try:
        say("A service on a temporary folder")
        day.tsched("up", "--detach")
        print(day.tsched("status"))
        yield day
    finally:
        say("The service stops")
        day.expect("tsched down exits with", day.start("down").wait(), 0)
        shutil.rmtree(folder)


def say(title: str) -> None:
    """A heading."""
    print(f"\n\033[1m{title}\033[0m" if sys.stdout.isatty() else f"\n## {title}", flush=True)


def give_work(day: Day) -> dict[str, str]:
    """Everything that may run side by side, submitted in one go; ids by name."""
    say("Work of all kinds, submitted")
    ids = {f"pack {folder}": day.submit(f"pack {folder}", "--command", pack(folder)) for folder in FOLDERS}
    ids["pipeline"] = day.submit("quoted pipeline", "--command", QUOTED)
    ids["words"] = day.submit("odd words", "--", "printf", "%s\n", *WORDS)
    ids["later"] = day.submit("later", "--in", "2s", "--command", "date +%T", verb=("schedule",))
    ids["fails"] = day.submit("fails", "--command", "exit 3", state="failed", exit_code=3, reason="exit_code")
    late: dict[str, Any] = {"state": "failed", "exit_code": None, "reason": "timeout"}
    ids["slow"] = day.submit("too slow", "--timeout", "1s", "--command", "exec sleep 600", **late)
    unwanted: dict[str, Any] = {"state": "cancelled", "exit_code": None, "reason": "cancelled"}
    ids["unwanted"] = day.submit("unwanted", "--command", "sleep 600 & wait", **unwanted)
    print(", ".join(f"{task}: {name}" for name, task in ids.items()))
    return ids


def pack(folder: str) -> str:
    """Packs a folder of the checkout and notes the archive's checksum."""
    return (
        f"tar -czf $OUT/{folder}.tar.gz --exclude=__pycache__ {folder}"
        f" && cd $OUT && sha256sum {folder}.tar.gz > {folder}.sum"
    )


VERIFY = (
    "(cd $OUT && sha256sum --check *.sum) && for all in $OUT/*.gz; do tar -dzf $all || exit; done && echo no difference"
)


def stream(day: Day) -> None:
    """A task's output arrives while it runs, not when it is over."""
    say("One that takes its time: its output arrives as it is written")
    steps = f"for step in $(seq {STEPS}); do echo step $step of {STEPS}; sleep 0.4; done"
    begun = time.monotonic()
    call = day.start("run", "--name", "long one", "--", "sh", "-c", steps)
    arrived = []
    for line in call.stdout or ():
        arrived.append(time.monotonic() - begun)
        print(f"  after {arrived[-1]:.1f} s: {line}", end="", flush=True)
    ended = time.monotonic() - begun
    day.expect("tsched run exits with", call.wait(), 0)
    day.expect("lines that came", len(arrived), STEPS)
    day.expect(
        "the first line came while the task ran:", bool(arrived) and ended - arrived[0] > 0.4 * (STEPS - 1), True
    )


def check(day: Day, ids: dict[str, str]) -> None:
    """Every task came to the end it must come to."""
    for task, must in day.must.items():
        shown = json.loads(day.tsched("show", task, "--json"))
        for key, wanted in must.items():
            day.expect(f"task {task} ({shown['name']}): {key} is", shown[key], wanted)
    later = json.loads(day.tsched("show", ids["later"], "--json"))
    day.expect("the task due later was early or late:", 0 <= later["lateness_s"] < 1, True)
    day.expect("the odd words came back as", day.tsched("logs", ids["words"]).splitlines(), WORDS)
    day.expect("lines of the pipeline:", len(day.tsched("logs", ids["pipeline"]).splitlines()), 3)


def show(day: Day, ids: dict[str, str]) -> None:
    """What a user looks at afterwards."""
    say("The table")
    print(day.tsched("list"))
    say("The log of one task: the archives are what the checkout is")
    print(day.tsched("logs", ids["verify"]))
    say("The log of another one: every byte as it was given")
    print(day.tsched("logs", ids["words"]))
    say("What the service says in its own log about a task that did not succeed")
    logs = sorted((day.folder / "state" / "logs").iterdir())
    lines = [line for log in logs for line in log.read_text().splitlines()]
    said = [line for line in lines if json.loads(line).get("task") == ids["fails"]]
    day.expect("the log tells of the task that failed:", bool(said), True)
    print("\n".join(said))


def main() -> int:
    """The day. 0 when all of it went as it must."""
    begun = time.monotonic()
    with service() as day:
        ids = give_work(day)
        stream(day)
        day.tsched("cancel", ids["unwanted"])
        packs = [ids[f"pack {folder}"] for folder in FOLDERS]
        day.tsched("wait", *packs)
        ids["verify"] = day.submit("verify", "--command", VERIFY)
        say("Waiting for all of it")
        finished = day.start("wait", *day.must)
        finished.communicate()
        day.expect("tsched wait, for some that did not succeed, exits with", finished.returncode, 1)
        check(day, ids)
        show(day, ids)
    for mistake in day.wrong:
        print(f"WRONG: {mistake}", file=sys.stderr)
    print(
        f"{len(day.must) + 1} tasks, {len(day.wrong)} results not what they must be, {time.monotonic() - begun:.1f} s"
    )
    return 1 if day.wrong else 0


if __name__ == "__main__":
    sys.exit(main())
