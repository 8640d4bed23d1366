"""What type checkers see of the Python side: arguments are checked, results are known, in both kinds of code."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent

# A line that ends with `# error: WORD` must be an error of that kind, no other line may be one; `# type: T` tells what
# the reveal_type there must come to.
PROGRAM = """
import asyncio
from tsched import AsyncClient, AsyncHandle, Client, Handle, chain, chord, group, result_of, task
from tsched.testing import assert_enqueued, inline

@task
def add(a: int, b: int = 2) -> int:
    return a + b

@task(queue="io", retries=3, timeout=10)
def join(words: list[str], *, by: str = " ") -> str:
    return by.join(words)

@task
async def fetch(url: str) -> bytes:
    return url.encode()

@task(name="total")
async def total(numbers: list[int]) -> float:
    return float(sum(numbers))

task(retrys=3)  # error: call-overload

def blocking() -> None:
    reveal_type(add(1))  # type: int
    reveal_type(add.delay(1, b=3))  # type: Handle[int]
    reveal_type(add.delay(1).result(timeout=3))  # type: int
    reveal_type(join.options(delay=3, priority=1).delay(["a"], by="-").result())  # type: str
    reveal_type(fetch.delay("a").result())  # type: bytes
    reveal_type(add.map([(1,), (2, 3)]))  # type: list[Handle[int]]
    add.delay("1")  # error: arg-type
    add.delay()  # error: call-arg
    add.delay(1, c=2)  # error: call-arg
    join.options(delay=3).delay([1])  # error: list-item
    join.options(priority="high")  # error: arg-type
    join.options(colour="red")  # error: call-arg
    join.delay(["a"], "-")  # error: call-arg
    add.options(after=[add.delay(1), "7", (join.delay([]), "any")]).delay(result_of(add.delay(1)))
    add.options(after=[(add.delay(1), "well")])  # error: list-item
    wrong: Handle[str] = add.delay(1)  # error: assignment

def workflows() -> None:
    reveal_type(chain(fetch.s("a"), add.s()).delay().result())  # type: int
    reveal_type(group(add.s(i) for i in range(3)).delay().result())  # type: list[int]
    reveal_type(group(add.s(1), add.s(2)).delay().result())  # type: list[int]
    reveal_type(chord(group(add.s(i) for i in range(3)), total.s()).delay().result())  # type: float
    reveal_type(chain(add.s(1), group(join.s(), join.s())).delay().result())  # type: list[str]
    chain(add.delay(1), add.s())  # error: arg-type

async def awaiting() -> None:
    reveal_type(await fetch("a"))  # type: bytes
    reveal_type(await fetch.adelay("a"))  # type: AsyncHandle[bytes]
    reveal_type(await (await fetch.adelay("a")))  # type: bytes
    reveal_type(await (await add.adelay(1)).result(timeout=3))  # type: int
    reveal_type(await total.options(queue="io").adelay([1]))  # type: AsyncHandle[float]
    reveal_type(await (await chain(add.s(1), total.s()).adelay()))  # type: float
    await fetch.adelay(1)  # error: arg-type
    async with AsyncClient() as client:
        reveal_type(await client.submit(add, 1))  # type: AsyncHandle[int]
        reveal_type(await (await client.shell("true")))  # type: int

def clients() -> None:
    with Client() as client, inline():
        reveal_type(client.submit(add, 1, queue="io").result())  # type: int
        reveal_type(client.submit("elsewhere.add", 1))  # type: Handle[Any]
        reveal_type(client.shell(["make", "-j4"], timeout=60).result())  # type: int
        reveal_type(client.results(add.map([(1,)])))  # type: list[int]
        client.submit(add, 1, queue=7)  # error: call-overload
        assert_enqueued(add, args=[1])
"""


def test_arguments_and_results_of_calls_are_checked_by_their_types(tmp_path: Path) -> None:
    (tmp_path / "tsched").symlink_to(ROOT)
    (tmp_path / "program.py").write_text(PROGRAM)
    words = [sys.executable, "-m", "mypy", "--config-file", ROOT / "pyproject.toml", "--no-error-summary"]
    words += ["--cache-dir", ROOT / ".mypy_cache", "--no-pretty", "program.py"]
    done = subprocess.run(words, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert told(done.stdout) == wanted(PROGRAM), done.stdout + done.stderr


def wanted(program: str) -> dict[int, str]:
    """What is to be told, by line."""
    lines = enumerate(program.split("\n"), start=1)
    found = ((number, re.search(r"# (error|type): (.+)$", line)) for number, line in lines)
    return {number: f"{match[1]}: {match[2]}" for number, match in found if match}


def told(output: str) -> dict[int, str]:
    """What mypy told of each line of the program, without the modules of types; anything else is kept as it is."""
    found: dict[int, str] = {}
    for line in output.splitlines():
        error = re.match(r"program\.py:(\d+): error: .*\[([\w-]+)\]$", line)
        revealed = re.match(r'program\.py:(\d+): note: Revealed type is "(.*)"$', line)
        if error:
            found[int(error[1])] = f"error: {error[2]}"
        elif revealed:
            found[int(revealed[1])] = "type: " + re.sub(r"\b[\w.]+\.(?=\w)", "", revealed[2])
        elif not re.match(r"program\.py:\d+: note: ", line):
            found[-len(found)] = line
    return found
