"""Several callers of one service: what is one's is not there for another, and what each did is written down."""

import json
import os
import subprocess
import sys

import pytest

from support import ports
from support.callers import Guarded, Refused, plain, told
from support.fake_link import PLAIN_UID
from support.wait import until
from tsched.proto import api_pb2 as api
from tsched.proto import call_pb2
from tsched.proto.taskscheduler_pb2 import ResultRequest

SMALL = "[executors]\ncount = 1\n"
OF_A_TASK = {
    "Get": api.GetRequest,
    "Modify": api.ModifyRequest,
    "Delete": api.DeleteRequest,
    "Cancel": api.CancelRequest,
    "Retry": api.RetryRequest,
    "Hold": api.HoldRequest,
    "Release": api.ReleaseRequest,
    "Pause": api.PauseRequest,
    "Resume": api.ResumeRequest,
    "Logs": api.LogsRequest,
    "Why": api.WhyRequest,
}
OF_TASKS = {"Wait": api.WaitRequest, "Graph": api.GraphRequest}


@pytest.fixture
def guarded(tmp_path):
    return Guarded(tmp_path)


def audit(service, *words):
    return [(e["who"], e["what"], e["object"], e["outcome"]) for e in service.json("audit", *words)]


def answers(caller, task_id, own):
    """What a caller is told of a task, by method, its id left out."""
    after = [api.Dependency(task=api.TaskRef(id=task_id), condition="any")]
    taken = call_pb2.Call(function="echo", args=[call_pb2.Argument(result_of=0)])
    taking = api.TaskSpec(call=taken, after=after)
    found = {
        **{name: told(getattr(caller.tasks, name), make(id=task_id)) for name, make in OF_A_TASK.items()},
        **{name: told(getattr(caller.tasks, name), make(ids=[task_id])) for name, make in OF_TASKS.items()},
        "among": told(caller.tasks.Wait, api.WaitRequest(ids=[own, task_id], progress=True)),
        "after": caller.submit("true", after=after),
        "result": told(caller.tasks.Submit, api.SubmitRequest(tasks=[taking])),
        "modify": told(caller.tasks.Modify, api.ModifyRequest(id=own, after=api.Dependencies(after=after))),
        "predecessor": told(caller.predecessor.GetResult, ResultRequest(task_id=task_id)),
        "events": caller.events(ids=[task_id]),
    }
    return {
        name: answer._replace(message=answer.message.replace(task_id, "ID"), hint=answer.hint.replace(task_id, "ID"))
        if isinstance(answer, Refused)
        else answer
        for name, answer in found.items()
    }


def test_of_anothers_task_everybody_is_told_what_is_told_of_none(make_service, guarded):
    service = make_service(guarded.config('[access]\nclients = { "tsched://client/ops" = "admin" }\n' + SMALL))
    with guarded.caller("a") as a, guarded.caller("b") as b, guarded.caller("ops") as ops:
        own = b.submit("true", id="own", hold=True)
        for state, task_id in (("held", "waits"), ("running", "runs"), ("succeeded", "done")):
            a.submit("sleep 1000" if state == "running" else "true", id=task_id, hold=state == "held")
            until(lambda state=state, task=task_id: told(a.tasks.Get, api.GetRequest(id=task)).state == state)
            assert answers(b, task_id, own) == answers(b, "none", own)
            assert told(ops.tasks.Get, api.GetRequest(id=task_id)).owner == "tsched://client/a"
        refusals = [each for each in answers(b, "done", own).values() if isinstance(each, Refused)]
        assert {each.reason for each in refusals} == {"no_such_task"}
        assert len(refusals) == len(answers(b, "done", own)) - 1
        assert told(b.predecessor.GetResult, ResultRequest(task_id="done")).status == "NOT_FOUND"
        assert told(a.tasks.Get, api.GetRequest(id="waits")).state == "held"
        assert (a.page(), b.page(), ops.page()) == (
            ["done", "runs", "waits"],
            ["own"],
            ["done", "runs", "waits", "own"],
        )
        assert a.page(states=["running", "held"], page_size=1) == ["runs"]
        assert b.page(queue="default", states=["running"]) == []
        assert {event.task for event in b.events()} == {"own"}
        assert {event.task for event in ops.events()} == {"waits", "runs", "done", "own"}
        busy = told(b.tasks.Why, api.WhyRequest(id=own)).causes
        assert not [cause for cause in busy if "runs" in cause.message]
        told(a.tasks.Delete, api.DeleteRequest(id="waits"))
        assert ("waits", "deleted") in {(event.task, event.event) for event in a.events()}
        assert not [event for event in b.events() if event.task == "waits"]
        told(a.tasks.Cancel, api.CancelRequest(id="runs", grace_us=0))
        assert a.wait("runs") == ["cancelled"]
    assert service.task("done")["owner"] == "tsched://client/a"


def test_ids_are_everybodys_and_keys_each_callers_own(make_service, guarded):
    make_service(guarded.config(SMALL))
    with guarded.caller("a") as a, guarded.caller("b") as b:
        assert a.submit("true", id="x", hold=True) == a.submit("true", id="x", hold=True) == "x"
        taken = b.submit("true", id="x", hold=True)
        assert (taken.reason, taken.message) == ("id_taken", "id x is taken")
        mine, theirs = a.submit("true", key="k", hold=True), b.submit("true", key="k", hold=True)
        assert mine != theirs
        assert mine == a.submit("true", key="k", hold=True)
        assert b.submit("false", key="k").reason == "id_taken"


def test_an_admin_who_repeats_anothers_task_leaves_it_its_owner(make_service, guarded):
    service = make_service(guarded.config(SMALL))
    with guarded.caller("a") as a:
        first = a.submit("echo once more")
        assert a.wait(first) == ["succeeded"]
        again = service.cli("retry", first).word
        assert a.wait(again) == ["succeeded"]
        assert again in a.page()
    assert service.task(again)["owner"] == "tsched://client/a"


def test_over_plain_tcp_one_submits_and_cannot_end_the_service(make_service):
    port = ports.free()
    service = make_service(f'[service]\naddr = "127.0.0.1:{port}"\n{SMALL}')
    ours = service.cli("run", "-d", "--", "true").word
    with plain(f"127.0.0.1:{port}") as caller:
        theirs = caller.submit("echo hello")
        assert caller.wait(theirs) == ["succeeded"]
        assert told(caller.tasks.Get, api.GetRequest(id=ours)).reason == "no_such_task"
        assert told(caller.control.Status, api.StatusRequest()).pid == service.pid
        for method, request in (
            (caller.control.Shutdown, api.ShutdownRequest()),
            (caller.control.Reload, api.ReloadRequest()),
            (caller.control.Doctor, api.DoctorRequest()),
            (caller.control.Audit, api.AuditRequest()),
            (caller.functions.Reload, api.PluginRequest()),
        ):
            refused = told(method, request)
            assert (refused.status, refused.reason) == ("PERMISSION_DENIED", "forbidden")
    assert service.task(theirs)["owner"] == "tcp"
    assert service.task(ours)["owner"].startswith("uid:")
    assert ("tcp", "Shutdown", None, "forbidden") in audit(service)


@pytest.mark.parametrize("role", ["none", "viewer", "admin"])
def test_the_configuration_says_what_callers_over_tcp_may(make_service, role):
    port = ports.free()
    service = make_service(f'[service]\naddr = "127.0.0.1:{port}"\n[access]\ntcp_role = "{role}"\n{SMALL}')
    ours = service.cli("run", "-d", "--", "true").word
    with plain(f"127.0.0.1:{port}") as caller:
        asked = {
            "looks": told(caller.control.Status, api.StatusRequest()),
            "submits": caller.submit("true"),
            "sees ours": told(caller.tasks.Get, api.GetRequest(id=ours)),
        }
    may = {"none": [], "viewer": ["looks"], "admin": ["looks", "submits", "sees ours"]}
    assert [name for name, answer in asked.items() if not isinstance(answer, Refused)] == may[role]


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can be another user")
def test_another_user_does_not_get_in_at_the_socket_wherever_it_is(make_service):
    service = make_service(SMALL)
    service.base.chmod(0o755)
    connect = (
        f"import os, socket; os.setuid({PLAIN_UID}); socket.socket(socket.AF_UNIX).connect({str(service.socket)!r})"
    )
    done = subprocess.run([sys.executable, "-c", connect], capture_output=True, check=False)
    assert b"PermissionError" in done.stderr


def test_what_ends_with_the_service_is_the_services_doing(make_service):
    service = make_service(SMALL)
    task = service.cli("run", "-d", "--", "sleep", "1000").word
    until(lambda: service.task(task)["state"] == "running")
    service.cli("down", "--drain", "0")
    service.wait()
    service.start()
    assert service.task(task)["reason"] == "shutdown"
    assert [entry[1] for entry in audit(service)] == ["submit", "shutdown"]


def test_every_change_is_noted_with_who_made_it_and_none_of_what_was_run(make_service):
    service = make_service(SMALL)
    secret = "echo s3cret"
    first = service.cli("run", "-d", "--", "sh", "-c", secret).word
    service.cli("wait", first)
    held = service.cli("schedule", "--in", "1h", "--command", secret).word
    service.cli("hold", held)
    service.cli("release", held)
    service.cli("modify", held, "--name", "other")
    service.cli("cancel", held)
    again = service.cli("retry", first).word
    service.cli("wait", again)
    service.cli("delete", first)
    running = service.cli("run", "-d", "--", "sleep", "1000").word
    until(lambda: service.task(running)["state"] == "running")
    until(lambda: service.cli("pause", running, check=False).code == 0)
    service.cli("resume", running)
    service.cli("cancel", running, "--grace", "0")
    service.cli("cancel", "999", check=False)
    service.cli("plugins", "reload")
    service.cli("config", "reload")
    me = service.task(again)["owner"]
    assert audit(service, "--since", "1h") == [
        (me, *entry, "done")
        for entry in (
            ("submit", first),
            ("submit", held),
            ("hold", held),
            ("release", held),
            ("modify", held),
            ("cancel", held),
            ("retry", f"{first} as {again}"),
            ("delete", first),
            ("submit", running),
            ("pause", running),
            ("resume", running),
            ("cancel", running),
            ("reload_plugins", "all"),
            ("reload", "service"),
        )
    ]
    assert audit(service, "-n", "1", "--what", "cancel") == [(me, "cancel", running, "done")]
    assert audit(service, "--who", "tcp") == []
    assert "reload_plugins" in service.cli("audit").text
    lines = [line for line in service.log_lines() if line["event"] == "audit"]
    assert [line["what"] for line in lines if line["what"] != "submit"] == [
        *("hold", "release", "modify", "cancel", "retry", "delete", "pause", "resume", "cancel"),
        *("reload_plugins", "reload"),
    ]
    assert "s3cret" not in json.dumps([service.json("audit"), lines])
