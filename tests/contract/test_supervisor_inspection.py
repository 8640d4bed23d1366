"""Looking at real code: whatever it does while it is imported, it is told what became of it, and nothing is left."""

import asyncio
import sys
import time
from contextlib import nullcontext

import pytest

from support import procs as ours
from support.keeper import Keeper
from support.wait import until
from tsched.proto.values import SourceKind
from tsched.supervisor import inspection
from tsched.supervisor.entries import Origin


def plugin(tmp_path, text, name="foo"):
    (tmp_path / f"{name}.py").write_text(text)
    return Origin(name=name, kind=SourceKind.PYTHON, python=sys.executable, path=str(tmp_path / f"{name}.py"))


def describe(tmp_path, origin, time_s=20.0):
    async def look():
        return await inspection.Inspector(Keeper(), tmp_path, time_s=time_s).describe(origin, 1)

    return asyncio.run(look())


def failure(tmp_path, origin, time_s=20.0):
    """What is said of a source that has nothing; nothing of it may be left."""
    try:
        described = describe(tmp_path, origin, time_s)
    except inspection.InspectionError as error:
        said = str(error)
    else:
        assert not described.functions
        said = "; ".join(described.failed)
    assert "\n" not in said
    assert not ours.ours()
    return said


GOOD = "from tsched import task\n@task(retries=2)\ndef add(a: int, b: int = 2) -> int:\n    'Adds.'\n    return a + b\n"


def test_functions_are_told_with_signature_documentation_and_what_their_author_chose(tmp_path):
    described = describe(tmp_path, plugin(tmp_path, GOOD))
    [told] = described.functions
    assert (told["name"], told["signature"], told["doc"]) == ("foo::add", "(a: int, b: int = 2) -> int", "Adds.")
    assert told["options"]["retries"] == 2
    assert described.failed == []


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("import nothing_of_this_name\n", "No module named 'nothing_of_this_name'"),
        ("def (:\n", "SyntaxError"),
        ("raise ValueError('a\\nb')\n", "ValueError: a"),
        ("import sys; sys.exit('enough')\n", "enough"),
        ("import os; os._exit(3)\n", "exit code 3"),
        ("import os; os._exit(0)\n", "exit code 0"),
        ("import os, signal; os.kill(os.getpid(), signal.SIGSEGV)\n", "SIGSEGV"),
        ("import ctypes; ctypes.string_at(0)\n", "SIGSEGV"),
        ("def f(): f()\nf()\n", "RecursionError"),
        ("x = 1\n", "no functions"),
    ],
)
def test_code_that_cannot_be_imported_is_told_by_its_last_word(tmp_path, text, expected):
    assert expected in failure(tmp_path, plugin(tmp_path, text))


@pytest.mark.parametrize(
    "text",
    ["while True: pass\n", "import time\nwhile True: time.sleep(60)\n", "input()\nimport signal; signal.pause()\n"],
)
def test_an_import_without_end_is_ended(tmp_path, text):
    if "input" in text:
        assert "EOFError" in failure(tmp_path, plugin(tmp_path, text))
    else:
        assert "did not end within 1 s" in failure(tmp_path, plugin(tmp_path, text), time_s=1.0)


def test_code_that_prints_without_measure_is_not_believed_to_describe_anything(tmp_path):
    noisy = "import sys\nprint('{}')\nfor _ in range(20000): print('x' * 1000); print('y' * 1000, file=sys.stderr)\n"
    described = describe(tmp_path, plugin(tmp_path, noisy + GOOD))
    assert [each["name"] for each in described.functions] == ["foo::add"]


def test_a_description_too_long_to_be_one_is_refused(tmp_path):
    (tmp_path / "begin.py").write_text("import sys\nwhile True: sys.stdout.write('x' * 65536)\n")

    async def look():
        inspector = inspection.Inspector(Keeper(), tmp_path, program=tmp_path / "begin.py")
        await inspector.describe(plugin(tmp_path, ""), 1)

    with pytest.raises(inspection.InspectionError, match="longer than"):
        asyncio.run(look())
    assert not ours.ours()


@pytest.mark.parametrize("end", ["", "raise ValueError\n", "while True: pass\n"])
def test_what_an_import_leaves_running_is_ended_with_it(tmp_path, end):
    fork = (
        "import os, time\n"
        "if os.fork() == 0:\n"
        "    os.setsid()\n"
        "    if os.fork() == 0: os.execve('/bin/sleep', ['sleep', '600'], {})\n"
        "    time.sleep(600)\n"
    )
    started = time.monotonic()
    with nullcontext() if not end.startswith("while") else pytest.raises(inspection.InspectionError, match="2 s"):
        describe(tmp_path, plugin(tmp_path, fork + GOOD + end), time_s=2.0)
    assert time.monotonic() - started < 20
    assert not ours.ours()


def test_it_is_told_no_secret_of_ours(tmp_path, monkeypatch):
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "hush")
    monkeypatch.setenv("PYTHONPATH", "/nowhere")
    monkeypatch.setenv("LD_PRELOAD", "")
    seen = tmp_path / "seen"
    describe(tmp_path, plugin(tmp_path, f"import os\nopen({str(seen)!r}, 'w').write('\\n'.join(os.environ))\n{GOOD}"))
    assert {"AWS_SECRET_ACCESS_KEY", "PYTHONPATH", "LD_PRELOAD"}.isdisjoint(seen.read_text().split())


@pytest.mark.parametrize(
    ("python", "expected"),
    [
        ("/nonexistent/python", "No such file"),
        (__file__, "Permission denied"),
        ("/bin/true", "exit code 0"),
        ("/bin/false", "exit code 1"),
        ("/bin/cat", "cat"),
    ],
)
def test_an_interpreter_that_is_none_is_told_by_name(tmp_path, python, expected):
    origin = Origin(name="shop", kind=SourceKind.FUNCTIONS, python=python, modules=("json",))
    assert expected in failure(tmp_path, origin)


def test_a_few_are_looked_at_at_the_same_time(tmp_path):
    slow = "import time\ntime.sleep(0.2)\n"

    async def look():
        keeper = Keeper()
        inspector = inspection.Inspector(keeper, tmp_path)
        most = 0

        async def one(number):
            nonlocal most
            work = asyncio.ensure_future(inspector.describe(plugin(tmp_path, slow + GOOD, f"p{number}"), 1))
            while not work.done():
                most = max(most, len(keeper.others))
                await asyncio.sleep(0.01)
            return await work

        found = await asyncio.gather(*(one(number) for number in range(5)))
        assert not keeper.others
        return most, [each.functions[0]["name"] for each in found]

    assert asyncio.run(look()) == (inspection.AT_ONCE, [f"p{number}::add" for number in range(5)])


def test_what_a_killed_supervisor_left_is_ended_by_the_next_one(tmp_path):
    async def look():
        origin = plugin(tmp_path, f"open({str(tmp_path / 'seen')!r}, 'w').close()\nwhile True: pass\n")
        work = asyncio.ensure_future(inspection.Inspector(Keeper(), tmp_path).describe(origin, 1))
        await asyncio.to_thread(until, (tmp_path / "seen").exists)
        assert len(ours.ours()) == 1
        await inspection.Inspector(Keeper(), tmp_path / "other").clear()
        assert len(ours.ours()) == 1
        await inspection.Inspector(Keeper(), tmp_path).clear()
        with pytest.raises(inspection.InspectionError, match="SIGKILL"):
            await work

    asyncio.run(look())
    assert not ours.ours()
