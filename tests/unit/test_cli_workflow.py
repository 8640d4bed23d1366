"""A workflow file becomes tasks that wait for each other, or is told all that is wrong with it, with its lines."""

import tomllib

import pytest

from tsched.cli import toml_lines
from tsched.cli.workflow_keys import Mistakes
from tsched.cli.workflow_plan import find_cycle, plan
from tsched.proto import anys
from tsched.proto.values import Condition


def planned(text):
    mistakes = Mistakes()
    tasks = plan(tomllib.loads(text), mistakes)
    assert not mistakes.found
    return {each.name: each.spec for each in tasks}


def wrong(text):
    """Every mistake as `LINE KEY WHAT`."""
    mistakes = Mistakes()
    plan(tomllib.loads(text), mistakes)
    lines = toml_lines.of_keys(text)
    return [f"{toml_lines.line_of(lines, where)} {'.'.join(where)} {what}" for where, what in mistakes.found]


def after(spec):
    return [(each.task.id or each.task.index, each.condition) for each in spec.after]


WHOLE = """
[defaults]
queue = "etl"
retries = 2
env = { A = "1", B = "2" }
cwd = "/"

[tasks.fetch]
command = ["curl", "-O", "{item}"]
env.B = "3"
timeout = "1h"
retries = 0

[tasks.clean]
function = "etl::clean"
args = [1, { result_of = "fetch" }, { a = [1.5, "{item}"] }]
kwargs = { mode = "x" }
after = ["fetch", "report:fail", "id:old:any", "id:12"]
hold = true
priority = -1

[tasks.report]
command = "a | b"
in = 90
name = "the report"
id = "report-7"
"""


def test_every_key_finds_its_place():
    tasks = planned(WHOLE)
    fetch, clean, report = tasks["fetch"], tasks["clean"], tasks["report"]
    assert list(fetch.command.argv.args) == ["curl", "-O", "{item}"]
    assert (fetch.queue, fetch.retries, fetch.timeout_us, dict(fetch.env)) == (
        "etl",
        0,
        3_600_000_000,
        {"A": "1", "B": "3"},
    )
    assert (fetch.cwd, fetch.name) == ("/", "fetch")
    assert after(clean) == [(0, "ok"), (2, "fail"), ("old", "any"), ("12", "ok")]
    assert [each.result_of for each in clean.call.args if each.WhichOneof("kind") == "result_of"] == [0]
    assert anys.from_any(clean.call.args[2].value) == {"a": [1.5, "{item}"]}
    assert anys.from_any(clean.call.kwargs["mode"].value) == "x"
    assert (clean.hold, clean.priority, clean.retries, clean.cwd, dict(clean.env)) == (True, -1, 2, "", {})
    assert (report.command.shell, report.delay_us, report.name, report.id) == (
        "a | b",
        90_000_000,
        "the report",
        "report-7",
    )


def test_an_array_is_many_tasks_and_its_name_means_all_of_them():
    tasks = planned("""
        [tasks.each]
        array = ["a b", 7]
        command = "gzip {item} > {index}.gz"
        [tasks.then]
        array = 2
        function = "f"
        args = ["{item}", "{item}/{index}", "{index}", { result_of = "each.{index}" }]
        after = ["each.0:any"]
        [tasks.all]
        function = "g"
        args = [{ result_of = "then" }]
        after = ["each"]
    """)
    assert list(tasks) == ["each.0", "each.1", "then.0", "then.1", "all"]
    assert [tasks[f"each.{n}"].command.shell for n in (0, 1)] == ["gzip 'a b' > 0.gz", "gzip '7' > 1.gz"]
    assert tasks["each.1"].env["TSCHED_ITEM"] == "7"
    second = tasks["then.1"]
    assert [anys.from_any(each.value) for each in second.call.args[:3]] == [1, "1/1", 1]
    assert (after(second), second.call.args[3].result_of) == ([(0, "any"), (1, "ok")], 1)
    assert after(tasks["all"]) == [(0, "ok"), (1, "ok"), (2, "ok"), (3, "ok")]
    assert list(tasks["all"].call.args[0].results_of.after) == [2, 3]


def test_a_command_of_words_takes_the_element_literally():
    tasks = planned("""
        [tasks.x]
        array = ["it's; rm", "$(b)"]
        command = ["echo", "{item}", "n={index}:{item}"]
    """)
    assert list(tasks["x.1"].command.argv.args) == ["echo", "$(b)", "n=1:$(b)"]


def test_all_that_is_wrong_is_told_with_its_line():
    told = wrong('''
[default]
[defaults]
comand = 1
queue = 3
[tasks.a]
command = "x"
function = "y"
timeout = "soon"
priority = true
[tasks."b c"]
command = ["x", 1]
after = ["a", "c", "a:fail", "id:"]
text = """
[tasks.not]
command = 1
"""
[tasks.d]
function = "f"
args = [{ deep = { result_of = "a" } }]
kwargs = { x = 2026-11-22, y = { result_of = "aa" } }
cwd = "/"
on_lost = "no"
array = 0
[tasks.e]
args = [1]
command = "x"
hold = 1
env = { "A=" = "x" }
at = "yesterday"
in = "1h"
''')
    for begin in (
        "2 default is unknown; is defaults meant?",
        "4 defaults.comand is unknown",
        "5 defaults.queue must be a string",
        "6 tasks.a must have a command or a function, one of them",
        "9 tasks.a.timeout is refused",
        "10 tasks.a.priority must be a whole number",
        "11 tasks.b c is no name for a task",
        "12 tasks.b c.command must be a line for the shell, or a list of words",
        "13 tasks.b c.after names 'c', which is no task of this file",
        "14 tasks.b c.text is unknown",
        "20 tasks.d.args has a result_of inside",
        "21 tasks.d.kwargs cannot be sent: a value of type date cannot be sent",
        "22 tasks.d.cwd is for commands",
        "23 tasks.d.on_lost must be one of",
        "24 tasks.d.array must be a number from 1",
        "26 tasks.e.args is for functions",
        "28 tasks.e.hold must be true or false",
        "29 tasks.e.env is refused",
        "30 tasks.e.at is refused",
        "31 tasks.e.in and at are both given",
    ):
        assert any(line.startswith(begin) for line in told), (begin, told)


def test_each_thing_that_is_wrong_with_one_key_is_told():
    told = wrong("""
[tasks.a]
function = "f"
after = ["b", "c:any", "id:"]
args = [{ result_of = "d" }, { result_of = "e" }]
kwargs = { x = { result_of = "g" }, y = { result_of = "h" } }
""")
    assert [line[: line.index(",")] for line in told if "names" in line] == [
        *(f"4 tasks.a.after names '{each}'" for each in ("b", "c")),
        *(f"5 tasks.a.args names '{each}'" for each in ("d", "e")),
        *(f"6 tasks.a.kwargs names '{each}'" for each in ("g", "h")),
    ]
    assert len(told) == 7


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("", "tasks must be tables"),
        ("tasks = 1", "tasks must be tables"),
        ("[tasks]\na = 1", "tasks.a must be a table"),
        ("defaults = 1\n[tasks.a]\ncommand='x'", "defaults must be a table"),
        ("[tasks.a]\ncommand = ''", "tasks.a.command is refused: the command is empty"),
        ("[tasks.a]\nfunction = ''", "tasks.a.function must not be empty"),
        ("[tasks.a]\narray = 10001\ncommand = 'x'", "array must be a number from 1 to 10000"),
        ("[tasks.a]\narray = 9000\ncommand = 'x'\n[tasks.b]\narray=9000\ncommand='x'", "tasks are 18000"),
        ("[tasks.a]\narray=9000\ncommand='x'\n[tasks.b]\narray=999\ncommand='x'\nafter=['a']", "put a task between"),
        ("[tasks.a]\narray = ['x']\ncommand = 'echo \"{item}\"'", "cannot be quoted safely"),
        ("[tasks.a]\narray = [[1]]\ncommand = 'x'", "must hold strings or numbers"),
        ("[tasks.a]\narray = 2\ncommand = 'x'\nid = 'y'", "is for one task"),
        ("[tasks.a]\ncommand='x'\n[tasks.b]\ncommand='x'\nafter=['a.0']", "'a.0', which a does not have"),
        ("[tasks.a]\ncommand='x'\n[tasks.b]\ncommand='x'\nafter=['a', 'a:any']", "the same task twice"),
        ("[tasks.a]\nfunction='x'\nargs=[9223372036854775808000]", "more than 64 bits"),
        ("[tasks.a]\nfunction='x'\nargs={a=1}", "must be a list"),
        ("[tasks.a]\ncommand='x'\nafter=['a']", "runs in a circle: a -> a"),
    ],
)  # fmt: skip
def test_a_mistake_is_named(text, what):
    told = wrong(text)
    assert len(told) == 1
    assert what in told[0]


def test_a_cycle_is_printed_by_names():
    text = "".join(
        f"[tasks.{a}]\ncommand='x'\nafter=['{b}']\n" for a, b in (("x", "a"), ("a", "b"), ("b", "c"), ("c", "a"))
    )
    assert wrong(text) == ["6 tasks.a.after runs in a circle: a -> b -> c -> a"]


def test_long_chains_and_wide_joins_are_planned_in_little_time():
    ids = range(3000)
    chain = "".join(f"[tasks.t{n}]\ncommand='x'\nafter=['t{n - 1}']\n" for n in ids[1:])
    assert len(planned("[tasks.t0]\ncommand='x'\n" + chain)) == 3000
    wide = "[tasks.all]\narray=5000\ncommand='x'\n[tasks.one]\ncommand='x'\nafter=['all']\n"
    assert len(planned(wide)["one"].after) == 5000
    ring = [{(number + 1) % 100_000: Condition.OK} for number in range(100_000)]
    assert len(find_cycle(ring)) == 100_000


def test_lines_are_found_in_whatever_way_keys_are_written():
    lines = toml_lines.of_keys(
        'a.b = 1\n[ x . "y z" ]\nk = """\n[no]\n"""\n# """\n[x.w]\n"q" = 1\n\'r\'.s = 2\n[[t]]\nu=1'
    )
    assert lines == {
        ("a", "b"): 1, ("x", "y z"): 2, ("x", "y z", "k"): 3, ("x", "w"): 7, ("x", "w", "q"): 8, ("x", "w", "r", "s"): 9,
        ("t",): 10, ("t", "u"): 11,
    }  # fmt: skip
    assert toml_lines.line_of(lines, ("x", "w", "nowhere")) == 7
    assert toml_lines.line_of(lines, ("nowhere",)) == 1
