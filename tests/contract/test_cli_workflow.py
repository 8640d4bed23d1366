"""`submit` sends a file's tasks in one request, or says what is wrong with the file and sends nothing."""

import json

import pytest

from support.fake_api import answering, refusing
from tsched.cli import main
from tsched.proto import api_pb2 as api

FILE = """
[tasks.fetch]
array = ["a", "b"]
command = "curl {item}"
[tasks.sum]
function = "math::add"
args = [1, { result_of = "id:7" }]
after = ["fetch:any"]
umask = 22
"""


def said(capfd, *words):
    code = main.run(words)
    out, err = capfd.readouterr()
    return code, out, err


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "flow.toml"
    path.write_text(FILE.replace("umask = 22\n", ""))
    return path


def test_all_tasks_go_in_one_request(file, fake, capfd, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    stored = [
        api.Submitted(id=str(number), state=state) for number, state in ((8, "ready"), (9, "ready"), (10, "blocked"))
    ]
    fake.on["Submit"] = answering(api.SubmitResponse(tasks=stored))
    code, out, err = said(capfd, "submit", str(file))
    assert (code, err) == (0, "")
    assert [line.split() for line in out.splitlines()] == [
        ["NAME", "ID", "STATE"], ["fetch.0", "8", "ready"], ["fetch.1", "9", "ready"], ["sum", "10", "blocked"],
    ]  # fmt: skip
    [request] = fake.requests("Submit")
    assert [each.command.shell for each in request.tasks] == ["curl 'a'", "curl 'b'", ""]
    assert len({each.key for each in request.tasks}) == 3
    assert [each.task.WhichOneof("task") for each in request.tasks[2].after] == ["index", "index", "id"]
    assert [each.cwd for each in request.tasks] == [str(tmp_path)] * 2 + [""]
    assert request.tasks[0].HasField("umask")
    assert "PATH" in request.common.submitter_env
    answer = json.loads(said(capfd, "submit", str(file), "--json")[1])
    assert [(each["task"], each["id"]) for each in answer] == [("fetch.0", "8"), ("fetch.1", "9"), ("sum", "10")]


def test_a_mark_of_the_encoding_before_the_file_is_none_of_its_text(file, fake, capfd):
    file.write_text(FILE.replace("umask = 22\n", ""), encoding="utf-8-sig")
    assert said(capfd, "submit", "--dry-run", str(file))[0::2] == (0, "")


def test_a_dry_run_shows_it_and_asks_nobody(file, fake, capfd):
    code, out, err = said(capfd, "submit", "--dry-run", str(file))
    assert (code, err, fake.asked) == (0, "", [])
    assert [line.rstrip() for line in out.splitlines()] == [
        "NAME     AFTER                           COMMAND",
        "fetch.0                                  curl 'a'",
        "fetch.1                                  curl 'b'",
        "sum      fetch.0:any, fetch.1:any, id:7  math::add(1, @result:id:7)",
    ]
    tasks = json.loads(said(capfd, "submit", "--dry-run", "--json", str(file))[1])
    assert tasks[2]["args"] == [1, {"@result_of": "id:7"}]
    assert tasks[2]["after"][0] == {"task": "fetch.0", "condition": "any"}
    assert (tasks[0]["command"], tasks[0]["env"], fake.asked) == ("curl 'a'", {"TSCHED_ITEM": "a"}, [])


def test_mistakes_are_told_all_at_once_with_their_lines(file, fake, capfd):
    file.write_text(FILE + "retrys = 1\n")
    code, out, err = said(capfd, "submit", str(file))
    assert (code, out, fake.asked) == (2, "", [])
    assert err.splitlines() == [
        f"tsched: {file}: line 9: tasks.sum.umask is for commands",
        f"tsched: {file}: line 9: tasks.sum.umask must be a string",
        f"tsched: {file}: line 10: tasks.sum.retrys is unknown; is retries meant?",
    ]
    code, out, err = said(capfd, "submit", str(file), "--json")
    answer = json.loads(out)
    assert (code, answer["error"]["reason"], len(answer["mistakes"])) == (2, "bad_usage", 3)
    assert answer["mistakes"][2]["line"] == 10


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"a = \n", "line 1"),
        (b"a = 1\n\xff", "line 2 is not UTF-8"),
        (b"a = " + b"[" * 100_000, "nested too deeply"),
        (b"a = 0" + b"9" * 5000, "flow.toml"),
        (b"#" * (4 << 20) + b"##", "longer than"),
        (b"", "line 1: tasks must be tables"),
    ],
    ids=lambda value: str(value)[:12],
)
def test_what_is_no_toml_is_refused_in_one_line(data, words, file, fake, capfd):
    file.write_bytes(data)
    code, out, err = said(capfd, "submit", str(file))
    assert (code, out, fake.asked) == (2, "", [])
    assert words in err
    assert err.count("\n") == 1


def test_a_file_that_is_not_there_is_refused(fake, capfd):
    assert said(capfd, "submit", "/no/such")[0] == 2
    assert said(capfd, "submit")[0] == 2


def test_what_the_supervisor_refuses_is_told(file, fake, capfd):
    fake.on["Submit"] = refusing("NOT_FOUND", "no_such_function", "no function math::add", "tsched functions")
    assert said(capfd, "submit", str(file)) == (1, "", "tsched: no function math::add (tsched functions)\n")
