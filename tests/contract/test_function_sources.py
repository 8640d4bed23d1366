"""What is found in each kind of source, and that what fails hides nothing else. All in children, as it is meant."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from support.functions import BEGIN, describe, names, running, said_in, source


def write(folder: Path, **files: str) -> Path:
    """Files in a folder; a double underscore in a name stands for a slash."""
    for name, text in files.items():
        path = folder / (name.replace("__", "/", 1) + ".py")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return folder


TASK = "from tsched import task\n"
ADD = f"{TASK}@task\ndef add(a: int, b: int = 0) -> int:\n    'Adds.'\n    return a + b\n"
LATER = f"{TASK}@task(queue='io', retries=2, retry_delay=1.5, timeout=3, priority=7, profile='small')\nasync def later(x):\n    return x\n"


def test_built_in_functions_have_plain_names() -> None:
    described, _ = describe(source("builtin", "tsched"))
    assert names(described) == ["add", "echo", "ping", "sleep", "sum_list", "fail"]
    assert all(each["doc"] for each in described["functions"])
    assert not described["failed"]


def test_built_in_functions_do_what_they_say() -> None:
    code = """
import asyncio
f = load(source)
print(f["add"].call([1, 2], {}), f["add"].call([], {"a": 1.5, "b": 1}), f["echo"].call([[b"x", None]], {}), f["echo"].call([], {}))
print(f["ping"].call([], {}), f["sum_list"].call([[1, 2, 3]], {}), f["sum_list"].call([[]], {}))
print(f["sleep"].is_async, asyncio.run(f["sleep"].call([0.001], {})))
try:
    f["fail"].call(["so be it"], {})
except RuntimeError as error:
    print(error)
"""
    assert said_in(source("builtin"), code).splitlines() == [
        "3 2.5 [b'x', None] None",
        "pong 6 0",
        "True None",
        "so be it",
    ]


def test_modules_are_found_in_their_folder_and_told_with_all_that_is_known(tmp_path: Path) -> None:
    write(tmp_path, jobs=ADD + LATER)
    described, _ = describe(source("functions", "mine", tmp_path, ["jobs"]))
    nothing = dict.fromkeys(("queue", "retries", "retry_delay", "timeout", "priority", "profile"))
    assert described == {
        "functions": [
            {
                "name": "jobs.add",
                "alias": "mine::add",
                "is_async": False,
                "native": False,
                "signature": "(a: int, b: int = 0) -> int",
                "doc": "Adds.",
                "params": [
                    {"name": "a", "kind": "positional_or_keyword", "type": "int", "required": True},
                    {"name": "b", "kind": "positional_or_keyword", "type": "int", "required": False},
                ],
                "options": nothing,
            },
            {
                "name": "jobs.later",
                "alias": "mine::later",
                "is_async": True,
                "native": False,
                "signature": "(x)",
                "doc": "",
                "params": [{"name": "x", "kind": "positional_or_keyword", "type": "any", "required": True}],
                "options": {
                    "queue": "io",
                    "retries": 2,
                    "retry_delay": 1.5,
                    "timeout": 3.0,
                    "priority": 7,
                    "profile": "small",
                },
            },
        ],
        "failed": [],
    }


def test_a_function_is_called_by_its_name_and_by_its_alias(tmp_path: Path) -> None:
    write(tmp_path, jobs=ADD + LATER)
    code = """
import asyncio
f = load(source)
print(sorted(f), f["jobs.add"].call([1], {"b": 2}), f["mine::add"] is f["jobs.add"], asyncio.run(f["jobs.later"].call([5], {})))
"""
    said = said_in(source("functions", "mine", tmp_path, ["jobs"]), code)
    assert said == "['jobs.add', 'jobs.later', 'mine::add', 'mine::later'] 3 True 5"


def test_an_alias_that_means_two_functions_means_none(tmp_path: Path) -> None:
    write(tmp_path, one=ADD, two=ADD)
    described, _ = describe(source("functions", "mine", tmp_path, ["one", "two"]))
    assert [(each["name"], each["alias"]) for each in described["functions"]] == [("one.add", ""), ("two.add", "")]


def test_tasks_of_modules_that_were_imported_by_the_named_ones_count_too(tmp_path: Path) -> None:
    write(tmp_path, jobs="import work.inner\n", work____init__="", work__inner=ADD)
    (tmp_path / "work").mkdir(exist_ok=True)
    described, _ = describe(source("functions", "mine", tmp_path, ["jobs"]))
    assert names(described) == ["work.inner.add"]


def test_a_module_that_fails_does_not_hide_the_others(tmp_path: Path) -> None:
    write(
        tmp_path,
        good=ADD,
        half=f"{ADD}\n\nimport nowhere\n",
        broken="def (:\n",
        leaves="import sys\nsys.exit(3)\n",
        stopped="raise KeyboardInterrupt\n",
        odd="class Odd(Exception):\n    def __str__(self):\n        raise RuntimeError\nraise Odd\n",
        misused="from tsched import task\n\n\n@task\ndef rows():\n    yield 1\n",
        late=ADD,
    )
    modules = ["good", "half", "absent", "broken", "leaves", "stopped", "odd", "misused", "late"]
    described, errors = describe(source("functions", "mine", tmp_path, modules))
    assert names(described) == ["good.add", "late.add"]
    assert {each["object"]: each["message"] for each in described["failed"]} == {
        "half": "ModuleNotFoundError: No module named 'nowhere' (half.py, line 8)",
        "absent": "ModuleNotFoundError: No module named 'absent'",
        "broken": "SyntaxError: invalid syntax (broken.py, line 1)",
        "leaves": "SystemExit: 3 (leaves.py, line 2)",
        "stopped": "KeyboardInterrupt (stopped.py, line 1)",
        "odd": "Odd: (it cannot say what it is) (odd.py, line 4)",
        "misused": "TypeError: rows is a generator; a task returns its result: return a list (misused.py, line 4)",
    }
    assert "half.py" in errors, "the traceback is there for who wants more"
    assert "import_module" not in errors, "and it is that of the code that failed"


def test_a_source_with_nothing_in_it_says_so(tmp_path: Path) -> None:
    write(tmp_path, jobs="x = 1\n")
    described, _ = describe(source("functions", "mine", tmp_path, ["jobs"]))
    assert described["failed"] == [{"object": "mine", "message": "there are no functions in it: mark them with @task"}]
    missing, _ = describe(source("functions", "mine", tmp_path / "none", ["jobs"]))
    assert missing["failed"] == [{"object": "mine", "message": f"there is no folder {tmp_path / 'none'}"}]


def test_loading_a_source_of_which_nothing_is_left_raises_what_is_wrong_with_it(tmp_path: Path) -> None:
    code = """
try:
    load(source)
except Exception as error:
    print(type(error).__name__, error)
"""
    said = said_in(source("functions", "mine", tmp_path, ["absent"]), code)
    assert said == "SourceError absent: ModuleNotFoundError: No module named 'absent'"


def test_what_was_loaded_remembers_what_was_not(tmp_path: Path) -> None:
    write(tmp_path, good=ADD, other="raise ValueError('no')\n")
    said = said_in(source("functions", "mine", tmp_path, ["good", "other"]), "print(load(source).problem)")
    assert said == "other: ValueError: no (other.py, line 1)"
    assert said_in(source("functions", "mine", tmp_path, ["good"]), "print([load(source).problem])") == "['']"


def test_a_lambda_goes_by_the_name_it_was_given(tmp_path: Path) -> None:
    write(tmp_path, jobs=f"{TASK}double = task(name='twice')(lambda x: 2 * x)\n")
    described, _ = describe(source("functions", "mine", tmp_path, ["jobs"]))
    assert [(each["name"], each["alias"]) for each in described["functions"]] == [("twice", "mine::twice")]


def test_a_call_that_is_ended_while_its_code_is_loaded_ends(tmp_path: Path) -> None:
    write(tmp_path, slow="from tsched import Cancelled\nraise Cancelled('enough')\n")
    code = "try:\n    load(source)\nexcept BaseException as error:\n    print(type(error).__name__, error)"
    assert said_in(source("functions", "mine", tmp_path, ["slow"]), code) == "Cancelled enough"


def test_what_a_module_prints_and_starts_while_it_is_imported_does_not_disturb_the_answer(tmp_path: Path) -> None:
    noise = """
import atexit, os, subprocess, sys, threading, warnings
print("a word")
sys.stdout.write("no newline")
os.write(1, b"straight")
subprocess.run(["echo", "a child"])
sys.stdin.read()
warnings.warn("careful")
atexit.register(print, "at exit")
threading.Thread(target=threading.Event().wait).start()
"""
    write(tmp_path, noisy=noise + ADD)
    described, errors = describe(source("functions", "mine", tmp_path, ["noisy"]))
    assert names(described) == ["noisy.add"]
    assert "a word" in errors
    assert "straight" in errors
    assert "a child" in errors


def test_objects_that_answer_to_everything_are_left_asleep(tmp_path: Path) -> None:
    lazy = """
class Lazy:
    @property
    def __class__(self):
        raise RuntimeError("woken")
    def __getattr__(self, name):
        raise RuntimeError("woken")
lazy = Lazy()
"""
    write(tmp_path, jobs=ADD + lazy)
    described, _ = describe(source("functions", "mine", tmp_path, ["jobs"]))
    assert names(described) == ["jobs.add"]
    assert not described["failed"]


@pytest.fixture
def installed(tmp_path: Path) -> Path:
    return write(
        tmp_path,
        lib____init__="from . import inner\nfrom .inner import plain, add\n",
        lib__inner=ADD
        + "def plain(x: str):\n    return x\nasync def slow(): ...\nclass Kept:\n    hold = staticmethod(plain)\nnumber = 3\n",
    )


@pytest.mark.parametrize(
    ("word", "found"),
    [
        ("sum = lib.inner:add", ["lib.inner.add"]),
        ("mine=lib.inner:plain", ["mine"]),
        ("held = lib.inner:Kept.hold", ["held"]),
        ("all = lib.inner", ["lib.inner.add"]),
        ("all = lib", ["lib.inner.add"]),
        ("extra = lib.inner:add [more]", ["lib.inner.add"]),
    ],
)
def test_an_entry_point_names_a_task_a_plain_function_or_a_module(installed: Path, word: str, found: list[str]) -> None:
    code = f"sys.path.insert(0, {str(installed)!r})\nfound = look(source)\nprint(json.dumps([list(found.functions), found.failed]))"
    assert json.loads(said_in(source("entry_points", "them", modules=[word]), code)) == [found, []]


def test_an_entry_point_that_fails_does_not_hide_the_others(installed: Path) -> None:
    words = [
        "a = lib.inner:add",
        "b = lib.inner:number",
        "c = lib.inner:nothing",
        "d = nowhere:x",
        "e = lib.inner:slow",
    ]
    code = f"""
sys.path.insert(0, {str(installed)!r})
found = look(source)
print(json.dumps([[(each.name, each.alias, each.is_async) for each in found.functions.values()], found.failed]))
"""
    functions, failed = json.loads(said_in(source("entry_points", "them", modules=words), code))
    assert functions == [["lib.inner.add", "them::add", False], ["e", "them::slow", True]]
    assert [what for what, _ in failed] == words[1:4]
    assert failed[0][1] == "a int is no function"


def test_a_plugin_offers_what_it_marks_and_what_it_lists_and_no_helpers(tmp_path: Path) -> None:
    listed = """
def helper(x): return x
def shout(text: str): return text.upper()
TASKS = {"loud": shout, "size": len, "plus": add}
"""
    write(tmp_path, texts=ADD + "@task(name='other.name')\ndef named(): ...\n" + listed)
    described, _ = describe(source("python", "texts", tmp_path / "texts.py"))
    assert names(described) == ["texts::add", "texts::other.name", "texts::loud", "texts::size", "texts::plus"]
    assert not described["failed"]
    code = 'f = load(source)\nprint(f["texts::loud"].call(["a"], {}), f["texts::size"].call(["abc"], {}), f["texts::plus"].call([1, 1], {}))'
    assert said_in(source("python", "texts", tmp_path / "texts.py"), code) == "A 3 2"


def test_what_a_plugin_lists_wrongly_is_told_one_by_one(tmp_path: Path) -> None:
    write(
        tmp_path,
        odd="TASKS = {'good': len, 'number': 3, 'a b': len, '': len, 'x' * 500: len, 'made': (x for x in ()), '\\ud800': len}\n",
    )
    described, _ = describe(source("python", "odd", tmp_path / "odd.py"))
    assert names(described) == ["odd::good"]
    failed = {each["object"]: each["message"] for each in described["failed"]}
    assert failed["TASKS['number']"] == "a int is no function"
    assert "no spaces" in failed["odd::a b"]
    assert len(failed) == 6


def test_a_package_is_a_plugin_with_modules_of_its_own(tmp_path: Path) -> None:
    write(
        tmp_path,
        many____init__="from . import first\nfrom many.second import two\nfrom many import tasks\n",
        many__first=ADD,
        many__second=f"{TASK}@task\nasync def two(): ...\n",
        many__tasks="",
    )
    described, _ = describe(source("python", "many", tmp_path / "many"))
    assert names(described) == ["many::add", "many::two"]
    assert not described["failed"]


def test_a_plugin_may_have_the_name_of_another_module_and_import_that_one(tmp_path: Path) -> None:
    write(tmp_path, math=f"import math\n{TASK}@task\ndef root(x: float) -> float:\n    return math.sqrt(x)\n")
    code = 'import math\nf = load(source)\nimport math as again\nprint(f["math::root"].call([9], {}), again is math, hasattr(math, "root"))'
    assert said_in(source("python", "math", tmp_path / "math.py"), code) == "3.0 True False"


def test_a_package_may_have_the_name_of_another_module_and_import_its_own(tmp_path: Path) -> None:
    write(tmp_path, json____init__="from .inner import add\n", json__inner=ADD)
    described, _ = describe(source("python", "json", tmp_path / "json"))
    assert names(described) == ["json::add"]


def test_a_plugin_that_calls_its_own_task_submits_it_by_the_name_it_has_here(tmp_path: Path) -> None:
    write(tmp_path, mine=ADD)
    code = "load(source)\nimport mine\nprint(mine.add.name, mine.add(1, 2))"
    assert said_in(source("python", "mine", tmp_path / "mine.py"), code) == "mine::add 3"


def test_what_is_on_disk_now_is_what_is_loaded_and_nothing_is_written_beside_it(tmp_path: Path) -> None:
    plugin = tmp_path / "fast.py"
    for number in (1, 2, 3):  # within one second, and of the same size
        plugin.write_text(f"{TASK}@task\ndef number():\n    return {number}\n")
        said = said_in(source("python", "fast", plugin), 'print(load(source)["fast::number"].call([], {}))')
        assert said == str(number)
    assert [each.name for each in tmp_path.iterdir()] == ["fast.py"]


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("gone.py", "is not there"),
        ("empty", "is a folder without __init__.py"),
        ("other.cpython-27-x86.so", "is not for this interpreter"),
    ],
)
def test_what_is_no_plugin_says_why(tmp_path: Path, name: str, message: str) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "other.cpython-27-x86.so").write_bytes(b"\x7fELF")
    described, _ = describe(source("python", "it", tmp_path / name))
    assert message in described["failed"][0]["message"]


def test_a_plugin_that_is_no_library_says_why(tmp_path: Path) -> None:
    (tmp_path / "it.so").write_bytes(b"\x7fELF and nothing else")
    described, _ = describe(source("python", "it", tmp_path / "it.so"))
    assert described["failed"][0]["message"].startswith("ImportError: ")


def test_a_plugin_that_ends_its_process_ends_the_look_at_it_alone(tmp_path: Path) -> None:
    write(tmp_path, gone="import os\nos._exit(7)\n")
    child = running(source("python", "gone", tmp_path / "gone.py"), "look(source)")
    assert child.returncode == 7


def test_an_answer_that_nobody_reads_is_an_exit_code_and_no_traceback(tmp_path: Path) -> None:
    write(tmp_path, closing=f"import os\nos.closerange(3, 100)\n{ADD}")
    child = subprocess.run(
        [sys.executable, BEGIN, "describe"],
        input=json.dumps(source("functions", "it", tmp_path, ["closing"])),
        capture_output=True,
        text=True,
        check=False,
    )
    assert (child.returncode, child.stdout, child.stderr) == (1, "", "")
