"""Functions that tests have executors run, well-behaved and otherwise. Runs in interpreters of its own."""

from __future__ import annotations

import asyncio
import ctypes
import hashlib
import logging
import os
import signal
import subprocess
import sys
import threading
import time
import warnings
from typing import Any

from tsched import Cancel, Cancelled, Retry, Snooze, current, task


@task(name="add")
def add(a: Any, b: Any = 0) -> Any:
    return a + b


@task(name="echo")
def echo(value: Any = None) -> Any:
    return value


@task(name="pid")
def pid() -> int:
    return os.getpid()


@task(name="say")
def say(text: str, error: str = "") -> None:
    print(text)
    print(error, end="", file=sys.stderr)


@task(name="say_everywhere")
def say_everywhere() -> None:
    print("print")
    sys.stdout.buffer.write(b"\xff buffer\n")
    os.write(1, b"os\n")
    subprocess.run(["echo", "child"], check=True)
    ctypes.CDLL(None).write(1, b"c\n", 2)


@task(name="flood")
def flood(size: int) -> None:
    for _ in range(size // 100):
        print("x" * 99)


@task(name="complain")
def complain() -> None:
    logging.getLogger("mine").warning("a log line")
    warnings.warn("a warning", stacklevel=1)


@task(name="astuck_aside")
async def astuck_aside() -> None:
    await asyncio.to_thread(time.sleep, 1000)


@task(name="aside")
async def aside() -> int:
    return await asyncio.to_thread(os.getpid)


@task(name="acomplain")
async def acomplain() -> None:
    warnings.warn("a warning", stacklevel=1)


@task(name="slow_talk")
def slow_talk(path: str) -> None:
    print("early")
    while not os.path.exists(path):
        time.sleep(0.01)
    print("late")


@task(name="boom")
def boom(text: str = "bad thing") -> None:
    try:
        dict[str, int]()["first"]
    except KeyError as error:
        raise ValueError(text) from error


@task(name="crash")
def crash() -> None:
    ctypes.string_at(0)


@task(name="leave")
def leave(code: int, *, hard: bool = True) -> None:
    print("going")
    if hard:
        os._exit(code)
    sys.exit(code)


@task(name="interrupt")
def interrupt() -> None:
    raise KeyboardInterrupt


@task(name="recurse")
def recurse(depth: int = 0) -> int:
    return recurse(depth + 1) + 1


@task(name="eat")
def eat(size: int) -> int:
    return len(bytearray(size))


@task(name="spin")
def spin() -> None:
    """Hold the interpreter in C code that never looks for signals."""
    print("spinning", flush=True)
    hashlib.pbkdf2_hmac("sha256", b"", b"", 2**31 - 1)


@task(name="nap")
def nap(seconds: float) -> str:
    print("asleep", flush=True)
    try:
        time.sleep(seconds)
    except Cancelled:
        print("cleaning up")
        raise
    return "slept"


@task(name="stubborn")
def stubborn() -> None:
    print("ready", flush=True)
    while True:
        try:
            time.sleep(1000)
        except Cancelled:
            print("no")


@task(name="breed")
def breed(path: str) -> None:
    """Leave a child and a daemon behind."""
    subprocess.Popen(["sleep", "1000"])
    daemon = f"echo $$ > {path}.new; mv {path}.new {path}; exec env -i sleep 1000"
    subprocess.run(["sh", "-c", 'setsid sh -c "$0" & exit 0', daemon], check=True)
    while not os.path.exists(path):
        time.sleep(0.01)


@task(name="fork_and_return")
def fork_and_return() -> str:
    os.fork()
    return "both"


@task(name="close_output")
def close_output() -> None:
    os.close(1)
    os.close(2)


@task(name="close_stdout")
def close_stdout() -> None:
    sys.stdout.close()


@task(name="close_all")
def close_all() -> None:
    os.closerange(0, 65536)


@task(name="kill_group")
def kill_group() -> None:
    os.killpg(0, signal.SIGKILL)


@task(name="kill_parent_group")
def kill_parent_group() -> None:
    os.killpg(os.getpgid(os.getppid()), signal.SIGKILL)


@task(name="litter")
def litter() -> None:
    os.chdir("/tmp")
    os.umask(0o777)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    sys.stdout = None


@task(name="surroundings")
def surroundings() -> list[Any]:
    umask = os.umask(0)
    os.umask(umask)
    return [os.getcwd(), umask, sys.stdin.read(), os.getpid()]


@task(name="thread")
def thread() -> int:
    threading.Thread(target=time.sleep, args=(1000,)).start()
    return os.getpid()


@task(name="unsendable")
def unsendable(what: str) -> Any:
    endless: list[Any] = []
    endless.append(endless)
    return {
        "object": object(),
        "generator": (number for number in range(3)),
        "large": "x" * (4 * 1024 * 1024 + 1),
        "huge": 2**70,
        "keys": {1: 2},
        "endless": endless,
    }[what]


@task(name="ask")
def ask(how: str) -> None:
    print("asking")
    raise {"retry": Retry(), "later": Retry(2.5), "snooze": Snooze(7), "cancel": Cancel("no point")}[how]


@task(name="who")
def who() -> list[Any]:
    me = current()
    return [me.id, me.attempt, me.max_attempts, me.function, me.queue, me.deadline_us]


@task(name="advance")
def advance(count: int, seconds: float = 0) -> None:
    for done in range(count):
        current().progress(done + 1, "rows", total=count)
    time.sleep(seconds)


@task(name="lie")
def lie(text: str) -> None:
    """Write to the socket that leads to the executor."""
    body = text.encode()
    for fd in range(3, 100):
        try:
            if os.readlink(f"/proc/self/fd/{fd}").startswith("socket:"):
                os.write(fd, len(body).to_bytes(4, "big") + body)
        except OSError:
            continue
    time.sleep(1000)


@task(name="anap")
async def anap(seconds: float) -> float:
    await asyncio.sleep(seconds)
    return seconds


@task(name="atalk")
async def atalk(name: str, turns: int) -> str:
    for turn in range(turns):
        print(f"{name}.{turn}")
        logging.getLogger("mine").warning("%s.%d", name, turn)
        await asyncio.sleep(0.001)
        await asyncio.to_thread(print, f"{name}.{turn}.thread")
    return name


@task(name="astuck")
async def astuck() -> None:
    print("stuck")
    await asyncio.sleep(0.05)
    time.sleep(1000)  # noqa: ASYNC251 - that is the point


@task(name="acrash")
async def acrash() -> None:
    ctypes.string_at(0)


@task(name="acleanup")
async def acleanup() -> None:
    try:
        await asyncio.sleep(1000)
    finally:
        print("cleaned up")


@task(name="astubborn")
async def astubborn() -> None:
    print("ready")
    while True:
        try:
            await asyncio.sleep(1000)
        except asyncio.CancelledError:
            print("no")


@task(name="aboom")
async def aboom() -> None:
    raise ValueError("async")


@task(name="aadvance")
async def aadvance(count: int) -> None:
    for done in range(count):
        current().progress(done + 1, "rows", total=count)


@task(name="aleave_task")
async def aleave_task() -> None:
    async def later() -> None:
        try:
            await asyncio.sleep(1000)
        finally:
            os.environ["ENDED"] = "yes"

    asyncio.get_running_loop()._left = asyncio.create_task(later())  # type: ignore[attr-defined]
    await asyncio.sleep(0)


@task(name="aended")
async def aended() -> str:
    await asyncio.sleep(0.05)
    return os.environ.get("ENDED", "no")


@task(name="achild")
async def achild(size: int) -> int:
    child = await asyncio.create_subprocess_exec("head", "-c", str(size), "/dev/zero")
    return await child.wait()


@task(name="breed_and_crash")
def breed_and_crash(path: str) -> None:
    child = subprocess.Popen(["sleep", "1000"], start_new_session=True)
    with open(path, "w") as file:
        file.write(str(child.pid))
    ctypes.string_at(0)


@task(name="lose_count")
def lose_count() -> str:
    """Say that the progress is no number."""
    current().progress(float("nan"), "lost", total=float("nan"))
    return "done"


@task(name="write_no_character")
async def write_no_character() -> str:
    """Write what no encoding has bytes for."""
    print("a\ud800b")
    return "done"
