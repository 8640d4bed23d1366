"""Native plugins: the examples do what they say, and what a plugin gets wrong is told or costs one process."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from google.protobuf.any_pb2 import Any as AnyMessage

from support.functions import INCLUDE, ROOT, cc, describe, interpreters, names, running, rustc, said_in, source
from tsched.executor.native import ABI
from tsched.proto.anys import from_any, to_any
from tsched.proto.plain import SIZE_LIMIT
from tsched.proto.taskscheduler_pb2 import ListValue

EXAMPLES = ROOT / "examples" / "plugins"
SIGSEGV = -11

_CALL = """
from tsched import current
from tsched.client.context import Context, entered
said = []
context = Context("7", 1, 1, "f", "default", None, lambda *what: said.append(what), lambda: False)
functions = load(source)
for name, args in {calls}:
    with entered(context):
        try:
            print(json.dumps(["gave", functions[name].call(bytes.fromhex(args)).hex(), said]))
        except Exception as error:
            print(json.dumps([type(error).__name__, str(error), said]))
    said.clear()
"""


@pytest.fixture(scope="module")
def compiler() -> str:
    found = cc()
    return found or pytest.skip("there is no C compiler (cc) here")


@pytest.fixture(scope="module")
def in_c(compiler: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("c")
    make = ["make", "-C", EXAMPLES / "c", f"OUT={folder}", f"CC={compiler}", "CFLAGS=-O2 -Werror -pedantic"]
    subprocess.run(make, check=True, capture_output=True)
    return folder / "libsamples.so"


@pytest.fixture(scope="module")
def in_rust(tmp_path_factory: pytest.TempPathFactory) -> Path:
    found = rustc() or pytest.skip("there is no Rust compiler (rustc) here")
    folder = tmp_path_factory.mktemp("rust")
    make = ["make", "-C", EXAMPLES / "rust", f"OUT={folder}", f"RUSTC={found} -D warnings"]
    subprocess.run(make, check=True, capture_output=True)
    return folder / "librusty.so"


def native(path: Path, name: str) -> dict[str, Any]:
    return source("native", name, path)


def args_of(*args: object) -> str:
    return ListValue(values=[to_any(each) for each in args]).SerializeToString().hex()


def called(path: Path, plugin: str, *calls: tuple[Any, ...]) -> list[tuple[str, Any]]:
    """What became of calls, all in one process: ("gave", the value) or the name of an exception and its text."""
    told = _CALL.format(calls=[(f"{plugin}::{name}", args_of(*args)) for name, *args in calls])
    answers = [json.loads(line) for line in said_in(native(path, plugin), told).splitlines() if line.startswith("[")]
    return [
        (end, from_any(AnyMessage.FromString(bytes.fromhex(text))) if end == "gave" else text)
        for end, text, _ in answers
    ]


def test_the_example_in_c_describes_itself(in_c: Path) -> None:
    described, errors = describe(native(in_c, "samples"))
    assert errors == ""
    assert names(described) == ["samples::add", "samples::upper", "samples::sorted", "samples::nap"]
    nothing = {"alias": "", "native": True, "params": None, "options": {}}
    assert described["functions"][3] == {
        "name": "samples::nap",
        "is_async": True,
        "signature": "(milliseconds: int) -> int",
        "doc": "Wait. Many of these run beside each other.",
        **nothing,
    }


def test_the_example_in_c_takes_and_gives_integers_strings_and_lists(in_c: Path) -> None:
    assert called(
        in_c,
        "samples",
        ("add", 1, 2, -(2**63) + 5, 0),
        ("add",),
        ("upper", "Größe z"),
        ("upper", ""),
        ("sorted", [3, -1, 0, 2**62]),
        ("sorted", []),
        ("nap", 20),
    ) == [
        ("gave", -(2**63) + 8),
        ("gave", 0),
        ("gave", "GRößE Z"),
        ("gave", ""),
        ("gave", [-1, 0, 3, 2**62]),
        ("gave", []),
        ("gave", 20),
    ]


def test_the_example_in_c_refuses_what_it_does_not_take(in_c: Path) -> None:
    failures = called(
        in_c, "samples", ("add", 1.5), ("add", 2**63 - 1, 1), ("add", 2**63), ("upper",), ("sorted", [1, [2]])
    )
    assert failures == [
        ("NativeError", "add takes integers"),
        ("NativeError", "the sum has more than 64 bits"),
        ("NativeError", "add takes integers"),
        ("NativeError", "upper takes a string"),
        ("NativeError", "sorted takes a list of integers"),
    ]


def test_the_example_in_rust_takes_and_gives_integers_and_strings(in_rust: Path) -> None:
    described, _ = describe(native(in_rust, "rusty"))
    assert [(each["name"], each["is_async"]) for each in described["functions"]] == [
        ("rusty::add", False),
        ("rusty::reverse", False),
        ("rusty::nap", True),
    ]
    assert called(
        in_rust, "rusty", ("add", 1, 2, -5), ("add",), ("reverse", "Größe"), ("nap", 20), ("add", "x"), ("reverse", 1)
    ) == [
        ("gave", -2),
        ("gave", 0),
        ("gave", "eßörG"),
        ("gave", 20),
        ("NativeError", "add takes integers"),
        ("NativeError", "reverse takes a string"),
    ]


@pytest.mark.parametrize("python", interpreters())
def test_native_plugins_run_in_every_interpreter(in_c: Path, python: str) -> None:
    code = f'print(load(source)["samples::add"].call(bytes.fromhex("{args_of(20, 22)}")).hex())'
    said = bytes.fromhex(said_in(native(in_c, "samples"), code, python))
    assert from_any(AnyMessage.FromString(said)) == 42


def test_damaged_arguments_do_not_harm_the_examples(in_c: Path, in_rust: Path) -> None:
    whole = bytes.fromhex(args_of(1, [2, "three"], "four", 5.0))
    code = f"""
from tsched.executor.sources import NativeError
whole = bytes.fromhex("{whole.hex()}")
cut = [whole[:size] for size in range(len(whole))]
changed = [whole[:at] + bytes([whole[at] ^ 0xFF]) + whole[at + 1:] for at in range(len(whole))]
functions = [function for name, function in load(source).items() if not name.endswith("nap")]
for function in functions:
    for each in cut + changed:
        try:
            function.call(each)
        except NativeError:
            pass
print("alive")
"""
    for path, name in ((in_c, "samples"), (in_rust, "rusty")):
        assert said_in(native(path, name), code) == "alive"


def test_progress_and_the_wish_to_end_get_through(in_c: Path) -> None:
    code = f"""
from tsched.client.context import Context, entered
said = []
context = Context("7", 1, 1, "f", "default", None, lambda *what: said.append(what), lambda: len(said) >= 2)
with entered(context):
    load(source)["samples::nap"].call(bytes.fromhex("{args_of(10_000)}"))
print(said)
"""
    assert said_in(native(in_c, "samples"), code).splitlines() == [
        "slept for 20 ms",
        "[(10.0, 10000.0, 'ms'), (20.0, 10000.0, 'ms')]",
    ]


def test_what_is_raised_while_the_plugin_asks_goes_on_when_it_returns(in_c: Path) -> None:
    code = f"""
from tsched import Cancelled
from tsched.client.context import Context, entered
def cancelled():
    raise Cancelled("enough")
context = Context("7", 1, 1, "f", "default", None, lambda *what: 1 / 0, cancelled)
with entered(context):
    try:
        load(source)["samples::nap"].call(bytes.fromhex("{args_of(10_000)}"))
    except Cancelled as error:
        print(error)
"""
    assert said_in(native(in_c, "samples"), code).splitlines() == ["slept for 0 ms", "enough"]


ODD = r"""
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "tsched_plugin.h"

static char large[5 << 20];
static const uint8_t any[] = {0x0a, 1, 'x'};

static void silent(const tsched_call *call) { (void)call; }
static void both(const tsched_call *call) { call->fail(call, "no", 2); call->succeed(call, any, sizeof any); }
static void after_all(const tsched_call *call) { call->succeed(call, any, sizeof any); call->fail(call, "no", 2); }
static void too_large(const tsched_call *call) { call->succeed(call, (uint8_t *)large, sizeof large); }
static void nothing(const tsched_call *call) { call->succeed(call, NULL, 0); }
static void null_result(const tsched_call *call) { call->succeed(call, NULL, 9); }
static void no_utf8(const tsched_call *call) { call->fail(call, "a\xff", 2); }
static void no_words(const tsched_call *call) { call->fail(call, NULL, 0); }
static void many_words(const tsched_call *call) { memset(large, 'w', sizeof large); call->fail(call, large, sizeof large); }
static void crash(const tsched_call *call) { *(volatile int *)call->args_size = 1; }
static void prints(const tsched_call *call) { (void)call; printf("a line without its end"); }

static void *elsewhere(void *call) { both(call); ((tsched_call *)call)->progress(call, 1, 0, NULL); return NULL; }
static void threaded(const tsched_call *call)
{
    pthread_t thread;
    pthread_create(&thread, NULL, elsewhere, (void *)call);
    pthread_join(thread, NULL);
}

/* Ends when as many are in here as its one argument has bytes. */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t came = PTHREAD_COND_INITIALIZER;
static size_t here;
static void meet(const tsched_call *call)
{
    pthread_mutex_lock(&lock);
    here++;
    pthread_cond_broadcast(&came);
    while (here < call->args_size)
        pthread_cond_wait(&came, &lock);
    pthread_mutex_unlock(&lock);
}

static tsched_function functions[] = {
    {"silent", NULL, NULL, silent, 0}, {"both", NULL, NULL, both, 0}, {"after_all", NULL, NULL, after_all, 0},
    {"too_large", NULL, NULL, too_large, 0}, {"nothing", NULL, NULL, nothing, 0},
    {"null_result", NULL, NULL, null_result, 0}, {"no_utf8", NULL, NULL, no_utf8, 0},
    {"no_words", NULL, NULL, no_words, 0}, {"many_words", NULL, NULL, many_words, 0}, {"crash", NULL, NULL, crash, 0},
    {"threaded", NULL, NULL, threaded, 0}, {"meet", "\xff", "\xff", meet, TSCHED_ASYNC}, {"prints", NULL, NULL, prints, 0},
};
static tsched_plugin plugin = {TSCHED_PLUGIN_ABI, sizeof functions / sizeof *functions, functions};

const tsched_plugin *init_plugin(void)
{
    const char *wrong = getenv("WRONG") ? getenv("WRONG") : "";
#define IS(word) (strcmp(wrong, word) == 0)
    if (IS("plugin")) return NULL;
    if (IS("abi")) plugin = (tsched_plugin){2, 0xffffffff, (const tsched_function *)1};
    if (IS("count")) plugin.count = 0;
    if (IS("count too")) plugin.count = 0xffffffff;
    if (IS("functions")) plugin.functions = NULL;
    if (IS("name")) functions[1].name = NULL;
    if (IS("empty")) functions[1].name = "";
    if (IS("utf8")) functions[1].name = "a\xff";
    if (IS("space")) functions[1].name = "a b";
    if (IS("colons")) functions[1].name = "a::b";
    if (IS("twice")) functions[1].name = "silent";
    if (IS("function")) functions[1].function = NULL;
    if (IS("flags")) functions[1].flags = 9;
    if (IS("crash")) *(volatile int *)0 = 1;
    return &plugin;
}
"""


def built(compiler: str, folder: Path, text: str, *linked: str) -> Path:
    folder.joinpath("it.c").write_text(text)
    words = [compiler, "-shared", "-fPIC", "-pthread", f"-I{INCLUDE}", "-o", folder / "libit.so", folder / "it.c"]
    subprocess.run([*words, *linked], check=True)
    return folder / "libit.so"


@pytest.fixture(scope="module")
def odd(compiler: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return built(compiler, tmp_path_factory.mktemp("odd"), ODD)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ("plugin", "init_plugin returned NULL: the plugin says that it cannot work here"),
        ("abi", "it has version 2 of the plugin ABI; this tsched has 1: build it anew"),
        ("count", "its table has 0 functions"),
        ("count too", "its table has 4294967295 functions"),
        ("functions", "its table has 13 functions and is NULL"),
        ("name", "function 2 of 13 has no name"),
        ("empty", "function 2 of 13 has no name"),
        ("utf8", "function 2 of 13: its name is not UTF-8: b'a\\xff'"),
        ("space", "function 2 of 13: its name is 'a b'; a function's name has no spaces and no control characters"),
        ("colons", "function 2 of 13: its name is 'a::b'; a name in a plugin has no ::"),
        ("twice", "two functions are called silent"),
        ("function", "function 2 of 13, both: its function is NULL"),
        ("flags", "function 2 of 13, both: it has flags that this tsched does not know: 0x9"),
    ],
)
def test_what_is_wrong_with_a_table_is_told(
    odd: Path, monkeypatch: pytest.MonkeyPatch, wrong: str, message: str
) -> None:
    monkeypatch.setenv("WRONG", wrong)
    described, _ = describe(native(odd, "it"))
    assert described == {"functions": [], "failed": [{"object": "it", "message": message}]}


def test_a_plugin_that_crashes_while_it_is_looked_at_takes_one_process_along(
    odd: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WRONG", "crash")
    assert running(native(odd, "it"), "look(source)").returncode == SIGSEGV


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("int other(void) { return 1; }", "it exports no function init_plugin"),
        ("int nowhere(void); int init_plugin(void) { return nowhere(); }", "undefined symbol: nowhere"),
    ],
)
def test_a_library_that_lacks_a_symbol_says_which(compiler: str, tmp_path: Path, text: str, message: str) -> None:
    described, _ = describe(native(built(compiler, tmp_path, text), "it"))
    assert message in described["failed"][0]["message"]


@pytest.mark.parametrize("content", [b"", b"no library", None], ids=["empty", "text", "absent"])
def test_a_file_that_is_no_library_says_so(tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "libit.so"
    if content is not None:
        path.write_bytes(content)
    described, _ = describe(native(path, "it"))
    (failed,) = described["failed"]
    assert failed["object"] == "it"
    assert str(path) in failed["message"]


def test_how_a_call_ended_is_what_it_said_last(odd: Path) -> None:
    ends = called(
        odd,
        "it",
        ("silent",),
        ("nothing",),
        ("after_all",),
        ("no_utf8",),
        ("no_words",),
        ("null_result",),
        ("too_large",),
    )
    assert ends == [
        ("gave", None),
        ("gave", None),
        ("NativeError", "no"),
        ("NativeError", "a\ufffd"),
        ("NativeError", "it failed without saying why"),
        ("BadAnswerError", "the result is said to have 9 bytes, but is NULL"),
        ("BadAnswerError", f"the result has {5 << 20} bytes; at most {SIZE_LIMIT} can be sent"),
    ]
    ((end, message),) = called(odd, "it", ("many_words",))
    assert (end, len(message)) == ("NativeError", 500)


def test_a_result_may_come_from_a_thread_of_the_plugin(odd: Path) -> None:
    code = _CALL.format(calls=[("it::both", ""), ("it::threaded", "")])
    assert [json.loads(line) for line in said_in(native(odd, "it"), code).splitlines()] == [
        ["gave", "0a0178", []],
        ["gave", "0a0178", [[1.0, None, ""]]],
    ]


def test_async_functions_run_beside_each_other(odd: Path) -> None:
    code = """
from concurrent.futures import ThreadPoolExecutor
meet = load(source)["it::meet"]
with ThreadPoolExecutor(40) as pool:
    print(meet.is_async, set(pool.map(meet.call, [bytes(40)] * 40)))
"""
    assert said_in(native(odd, "it"), code) == "True {b''}"


def test_what_c_prints_is_out_when_the_call_ends(odd: Path) -> None:
    code = 'load(source)["it::prints"].call(b"")\nimport os\nos._exit(0)'
    assert said_in(native(odd, "it"), code) == "a line without its end"


def test_a_library_that_is_overwritten_in_place_changes_nothing_for_who_has_it(in_c: Path, tmp_path: Path) -> None:
    mine = tmp_path / "libsamples.so"
    shutil.copy(in_c, mine)
    code = f"""
functions = load(source)
with open(source["path"], "r+b") as file:
    file.truncate(0)
    file.write(b"another one")
print(functions["samples::sorted"].call(bytes.fromhex("{args_of([2, 1])}")).hex())
"""
    answer = bytes.fromhex(said_in(native(mine, "samples"), code))
    assert from_any(AnyMessage.FromString(answer)) == [1, 2]


def test_a_library_finds_another_one_that_lies_beside_it(compiler: str, tmp_path: Path) -> None:
    tmp_path.joinpath("other.c").write_text("int beside(void) { return 1; }")
    subprocess.run([compiler, "-shared", "-fPIC", "-o", tmp_path / "libbeside.so", tmp_path / "other.c"], check=True)
    lines = ODD.replace("static void silent(", "int beside(void);\nstatic void silent(").replace(
        "(void)call; }", 'call->fail(call, beside() ? "beside" : "", 6); }', 1
    )
    linked = [f"-L{tmp_path}", "-lbeside", "-Wl,-rpath,$ORIGIN"]
    assert called(built(compiler, tmp_path, lines, *linked), "it", ("silent",)) == [("NativeError", "beside")]


def test_a_function_that_crashes_takes_its_process_along(odd: Path) -> None:
    assert running(native(odd, "it"), 'load(source)["it::crash"].call(b"")').returncode == SIGSEGV


def test_the_header_is_of_the_version_that_is_loaded() -> None:
    header = (INCLUDE / "tsched_plugin.h").read_text()
    assert re.findall(r"#define TSCHED_PLUGIN_ABI (\d+)", header) == [str(ABI)]
    assert f"const VERSION: u32 = {ABI};" in (EXAMPLES / "rust" / "samples.rs").read_text()


def test_the_command_line_tells_where_the_header_is_without_a_service(tmp_path: Path) -> None:
    told = [sys.executable, "-P", "-m", "tsched", "plugins", "header"]
    environment = {**os.environ, "TSCHED_SOCKET": str(tmp_path / "s"), "TSCHED_STATE_DIR": str(tmp_path / "state")}
    said = subprocess.check_output(told, text=True, env=environment)
    assert Path(said.strip()) == INCLUDE / "tsched_plugin.h"
    assert json.loads(subprocess.check_output([*told, "--json"], text=True, env=environment)) == {"path": said.strip()}
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("language", ["c -std=c99", "c -std=c17", "c++ -std=c++11"])
def test_the_header_is_understood_without_a_warning(compiler: str, language: str) -> None:
    words = [compiler, "-Wall", "-Wextra", "-pedantic", "-Werror", "-fsyntax-only", *f"-x {language}".split()]
    found = subprocess.run([*words, INCLUDE / "tsched_plugin.h"], capture_output=True, text=True, check=False)
    if "cc1plus" in found.stderr:
        pytest.skip("the compiler knows no C++")
    assert found.returncode == 0, found.stderr
