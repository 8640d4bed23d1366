"""The side of functions in interpreters of users: other versions, environments without tsched, compiled modules."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from support.functions import BEGIN, ROOT, cc, describe, interpreters, names, others, said_in, source

LIBRARY = """
from __future__ import annotations
from typing import TYPE_CHECKING
from tsched import Cancel, Retry, Snooze, current, task
if TYPE_CHECKING:
    from somewhere import Thing

@task(retries=1)
def works(a: int, things: list[Thing] | None = None) -> str:
    "Works."
    return f"{a} {current().id}"

@task
async def waits(a: float, *, b: dict[str, int]) -> None: ...
"""
CALL = """
from tsched import current
from tsched.client.context import Context, entered
works = load(source)["lib.works"]
with entered(Context("7", 1, 1, "lib.works", "default", None, print, bool)):
    print(works.call([5], {}))
"""
NEWER = "type Strings = list[str]\n@task\ndef first[T](values: list[T], words: Strings) -> T: ...\n"


def environment(python: str, folder: Path) -> str:
    """An environment of its own, in which nothing is installed."""
    subprocess.run([python, "-m", "venv", "--without-pip", folder], check=True)
    return str(folder / "bin" / "python")


@pytest.mark.parametrize("python", interpreters())
def test_an_environment_without_tsched_has_the_names_that_functions_need(python: str, tmp_path: Path) -> None:
    bare = environment(python, tmp_path / "env")
    missing = subprocess.run([bare, "-I", "-c", "import tsched"], capture_output=True, text=True, check=False)
    assert "No module named 'tsched'" in missing.stderr
    (tmp_path / "lib.py").write_text(LIBRARY)
    mine = source("functions", "mine", tmp_path, ["lib"])
    described, errors = describe(mine, bare)
    assert errors == ""
    assert [(each["name"], each["is_async"], each["signature"]) for each in described["functions"]] == [
        ("lib.works", False, "(a: int, things: list[Thing] | None = None) -> str"),
        ("lib.waits", True, "(a: float, *, b: dict[str, int]) -> None"),
    ]
    assert [each["type"] for each in described["functions"][1]["params"]] == ["float", ["map", "int"]]
    assert said_in(mine, CALL, bare) == "5 7"


@pytest.mark.parametrize("python", interpreters())
def test_describing_loads_the_standard_library_only_and_calling_little_of_it(python: str, tmp_path: Path) -> None:
    (tmp_path / "lib.py").write_text(LIBRARY)
    code = """
load(source)
print(sorted(set(sys.modules) & {"inspect", "dataclasses", "asyncio", "ctypes", "traceback", "logging", "subprocess"}))
import tsched.executor.describe
tsched.executor.describe.described(source)
tops = {name.partition(".")[0] for name in sys.modules}
print(sorted(tops - set(sys.stdlib_module_names) - {"__main__", "lib", "sitecustomize", "usercustomize"}))
"""
    said = said_in(source("functions", "mine", tmp_path, ["lib"]), code, environment(python, tmp_path / "env"))
    assert said.splitlines() == ["[]", "['tsched']"]


@pytest.mark.parametrize("python", others())
def test_the_syntax_of_newer_versions_is_understood(python: str, tmp_path: Path) -> None:
    (tmp_path / "new.py").write_text("from tsched import task\n" + NEWER)
    described, _ = describe(source("python", "new", tmp_path / "new.py"), python)
    (first,) = described["functions"]
    assert first["signature"] == "(values: list[T], words: Strings) -> T"
    assert [each["type"] for each in first["params"]] == [["list", "any"], ["list", "str"]]


def old_interpreters() -> list[str]:
    found = [Path.home() / ".pyenv/versions" / version / "bin/python" for version in ("2.7.18", "3.6.15", "3.10.13")]
    return [str(each) for each in found if each.exists()]


def test_an_interpreter_that_is_too_old_is_refused_with_its_name() -> None:
    if not old_interpreters():
        pytest.skip("no Python below 3.11 is under ~/.pyenv")
    for python in old_interpreters():
        child = subprocess.run([python, BEGIN, "describe"], input="{}", capture_output=True, text=True, check=False)
        assert child.returncode == 1
        assert child.stderr.startswith(f"tsched: functions need Python 3.11 or newer, and {python} is ")
        assert child.stderr.count("\n") == 1


@pytest.mark.parametrize("flags", [(), ("-P",), ("-I",)], ids=["bare", "safe path", "isolated"])
def test_our_own_folder_is_not_on_the_path_and_nothing_of_it_is_taken_for_a_module(
    flags: tuple[str, ...], tmp_path: Path
) -> None:
    look = "import sys\nprint(sys.path, sys.argv)\nimport messages\n"
    (tmp_path / "mine.py").write_text(look)
    child = subprocess.run(
        [sys.executable, *flags, BEGIN, "describe"],
        input=json.dumps(source("functions", "mine", tmp_path, ["mine"])),
        capture_output=True,
        text=True,
        check=True,
    )
    (failed,) = json.loads(child.stdout)["failed"]
    assert failed["message"] == "ModuleNotFoundError: No module named 'messages' (mine.py, line 3)"
    (shown,) = [line for line in child.stderr.splitlines() if line.startswith(f"['{tmp_path}', '/")]
    assert shown.endswith(f" ['{BEGIN}']")
    assert str(ROOT / "executor") not in shown.partition("]")[0]


def test_processes_that_multiprocessing_starts_have_tsched_too(tmp_path: Path) -> None:
    (tmp_path / "squares.py").write_text("""
from tsched import task

@task
def square(end, x):
    end.send(x * x)
""")
    (tmp_path / "many.py").write_text("""
import multiprocessing
import squares
from tsched import task

spawn = multiprocessing.get_context("spawn")
here, there = spawn.Pipe()
child = spawn.Process(target=squares.square, args=(there, 3))
child.start()
there.close()

@task(name=f"square-{here.recv()}")
def nine(): ...

child.join()
""")
    bare = environment(sys.executable, tmp_path / "env")
    described, errors = describe(source("functions", "mine", tmp_path, ["many"]), bare)
    assert names(described) == ["squares.square", "square-9"], errors


EXTENSION = r"""
#include <Python.h>
static PyObject *twice(PyObject *self, PyObject *arg) { return PyNumber_Add(arg, arg); }
static PyMethodDef methods[] = {{"twice", twice, METH_O, "twice($module, value, /)\n--\n\nTwice as much."}, {0}};
static int fill(PyObject *module)
{
    PyObject *tasks = Py_BuildValue("{sN}", "twice", PyObject_GetAttrString(module, "twice"));
    return tasks ? PyModule_AddObject(module, "TASKS", tasks) : -1;
}
static PyModuleDef_Slot slots[] = {{Py_mod_exec, fill}, {0}};
static PyModuleDef module = {PyModuleDef_HEAD_INIT, NAME, 0, 0, methods, slots};
PyMODINIT_FUNC INIT(void) { return PyModuleDef_Init(&module); }
"""


def told(python: str, expression: str) -> str:
    return subprocess.check_output([python, "-c", f"import sysconfig; print({expression})"], text=True).strip()


@pytest.mark.parametrize("name", ["doubling", "math"])
@pytest.mark.parametrize("python", interpreters())
def test_a_compiled_extension_module_is_a_plugin(python: str, name: str, tmp_path: Path) -> None:
    include = told(python, "sysconfig.get_path('include')")
    compiler = cc()
    if compiler is None or not os.path.exists(f"{include}/Python.h"):
        pytest.skip(f"no C compiler, or no Python.h in {include}")
    plugin = tmp_path / (name + told(python, "sysconfig.get_config_var('EXT_SUFFIX')"))
    (tmp_path / "it.c").write_text(EXTENSION)
    words = [compiler, "-shared", "-fPIC", f"-I{include}", f'-DNAME="{name}"', f"-DINIT=PyInit_{name}"]
    subprocess.run([*words, "-o", plugin, tmp_path / "it.c"], check=True)
    described, _ = describe(source("python", name, plugin), python)
    (twice,) = described["functions"]
    assert (twice["name"], twice["signature"], twice["doc"]) == (f"{name}::twice", "(value, /)", "Twice as much.")
    code = f"""
twice = load(source)["{name}::twice"]
with open(source["path"], "r+b") as file:
    file.truncate(0)  # who has it already goes on
print(twice.call([21], {{}}), twice.task.function.__self__.__file__ == source["path"])
"""
    if python != interpreters()[0]:
        wrong, _ = describe(source("python", name, plugin))
        assert "is not for this interpreter" in wrong["failed"][0]["message"]
    assert said_in(source("python", name, plugin), code, python) == "42 True"
