"""`result` gives what a finished command wrote and its exit code, and says what is missing."""

import base64
import json

import pytest

from support.fake_api import answering, streaming
from tsched.cli import main
from tsched.proto import api_pb2 as api

BYTES = bytes(range(256))


def said(capfdbinary, *words):
    code = main.run(words)
    out, err = capfdbinary.readouterr()
    return code, out, err.decode()


def ended(fake, *outputs, attempts=(), **fields):
    """Have the supervisor tell of such a task, with one attempt that wrote all of this."""
    if not attempts and outputs:
        written = {name: sum(len(o.data) for o in outputs if o.stream == name) for name in ("out", "err")}
        attempts = [api.Attempt(number=1, stdout_bytes=written["out"], stderr_bytes=written["err"])]
    task = {"id": "7", "state": "succeeded", "exit_code": 0, "attempt": 1, "attempts": attempts, **fields}
    fake.on["Get"] = answering(api.Task(**task))
    fake.on["Logs"] = lambda request, context: streaming(*(o for o in outputs if request.stream in ("", o.stream)))(
        request, context
    )


def out(data, stream="out", **fields):
    return api.Output(stream=stream, data=data, **fields)


def test_the_bytes_and_the_exit_code_are_the_commands_own(fake, capfdbinary):
    ended(fake, out(BYTES), out(b"not asked for", "err"), state="failed", reason="exit_code", exit_code=7)
    assert said(capfdbinary, "result", "7") == (7, BYTES, "")


@pytest.mark.parametrize(
    ("fields", "code", "words"),
    [
        ({"state": "failed", "reason": "signal", "signal": 9}, 137, "SIGKILL"),
        ({"state": "failed", "reason": "executor_died", "message": "it is lost"}, 1, "it is lost"),
        ({"state": "cancelled", "reason": "cancelled", "attempt": 0}, 1, "cancelled"),
        ({"state": "skipped", "attempt": 0}, 1, "skipped"),
    ],
)
def test_an_end_without_an_exit_code_is_told(fields, code, words, fake, capfdbinary):
    ended(fake, **fields)
    got, stdout, err = said(capfdbinary, "result", "7")
    assert (got, stdout) == (code, b"")
    assert words in err
    assert err.count("\n") == 1


def test_what_has_not_ended_has_no_result(fake, capfdbinary):
    ended(fake, state="running")
    code, stdout, err = said(capfdbinary, "result", "7")
    assert (code, stdout) == (1, b"")
    assert err == "tsched: task 7 has no result yet: it is running (tsched wait 7)\n"
    assert json.loads(said(capfdbinary, "result", "7", "--json")[1])["error"]["reason"] == "wrong_state"


def test_for_programs_it_is_the_task_with_its_output(fake, capfdbinary):
    ended(fake, out(b"gr\xc3\xbc"), out(BYTES, "err"), out(b"\xc3\x9fe"), state="failed", exit_code=3)
    code, stdout, err = said(capfdbinary, "result", "7", "--json")
    result = json.loads(stdout)
    assert (code, err, result["id"], result["stdout"]) == (3, "", "7", "grüße")
    assert "stdout_base64" not in result
    assert result["stderr"] == BYTES.decode(errors="replace")
    assert base64.b64decode(result["stderr_base64"]) == BYTES
    assert (result["gap_bytes"], result["truncated"]) == (0, False)


def test_what_is_missing_is_told(fake, capfdbinary):
    wrote = [api.Attempt(number=1, stdout_bytes=100, stderr_bytes=50)]
    ended(fake, out(b"head"), out(b"tail", offset=90, gap_bytes=86), out(b"", truncated=True), attempts=wrote)
    _, stdout, err = said(capfdbinary, "result", "7")
    assert stdout == b"headtail"
    assert [line.split(";")[0] for line in err.splitlines()] == [
        "tsched: 86 bytes of stdout were not kept (output cap)",
        "tsched: the output ends here: what recorded it died",
        "tsched: the last 6 bytes of stdout were not kept (output cap)",
    ]
    result = json.loads(said(capfdbinary, "result", "7", "--json")[1])
    assert (result["gap_bytes"], result["truncated"]) == (142, True)


def test_an_output_of_which_nothing_is_kept_is_told(fake, capfdbinary):
    ended(fake, attempts=[api.Attempt(number=1, stdout_bytes=100)])
    assert "wrote 100 bytes to stdout, of which none are kept" in said(capfdbinary, "result", "7")[2]
