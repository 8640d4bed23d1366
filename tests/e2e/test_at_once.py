"""Due means due: never early, in the order of priority, and a cancel ends everything."""

from datetime import datetime

from support import procs
from support.wait import until


def at(text):
    return datetime.fromisoformat(text).timestamp()


def test_a_scheduled_task_starts_when_it_is_due_and_never_before(service, witness):
    ids = [
        service.cli("schedule", "--in", f"{0.3 + n / 10}s", "--command", witness.command(f"t{n}")).word
        for n in range(6)
    ]
    service.cli("wait", *ids)
    for n, task in enumerate(ids):
        shown = service.task(task)
        assert witness.starts(f"t{n}")[0].at_s >= at(shown["due_at"])
        assert shown["lateness_s"] >= 0


def test_among_ready_tasks_the_higher_priority_goes_first(make_service, witness):
    service = make_service(config="[executors]\ncount = 1\nslots = 1\n")
    gate = service.cli("schedule", "--command", f"while [ ! -e {service.base}/go ]; do sleep 0.05; done").word
    until(lambda: service.task(gate)["state"] == "running")
    ids = [
        service.cli("schedule", "--priority", str(p), "--command", witness.command(f"p{p}")).word for p in (0, 5, -3, 9)
    ]
    (service.base / "go").touch()
    service.cli("wait", gate, *ids)
    assert [line.name for line in witness.lines() if line.what == "start"] == ["p9", "p5", "p0", "p-3"]


def test_a_timeout_ends_the_whole_tree_also_one_that_will_not_go(service):
    body = "trap '' TERM; (trap '' TERM; setsid sleep 601 &) ; sleep 601; sleep 601"
    done = service.cli("run", "--timeout", "0.3s", "--grace", "0.3s", "--", "sh", "-c", body, check=False)
    assert done.code == 137
    [task] = service.json("list")
    shown = service.task(task["id"])
    assert (shown["state"], shown["reason"]) == ("failed", "timeout")
    assert not [each for each in procs.ours() if each.command == "sleep 601"]


def test_a_waiting_task_is_changed_and_deleted_and_a_finished_one_tells_what_is_possible(service):
    task = service.cli("schedule", "--in", "1h", "--command", "echo one").word
    service.cli("modify", task, "--command", "echo two", "--in", "0.1s", "--name", "changed")
    service.cli("wait", task)
    assert service.cli("logs", task).stdout == b"two\n"
    refused = service.cli("modify", task, "--name", "late", check=False)
    assert refused.code == 1
    assert b"succeeded" in refused.stderr
    assert b"cannot be changed" in refused.stderr
    service.cli("delete", task)
    assert service.cli("show", task, check=False).code == 1
    assert service.cli("logs", task, check=False).code == 1


def test_the_same_id_with_the_same_content_is_one_task_and_with_other_content_a_clear_error(service):
    first = service.cli("schedule", "--id", "nightly", "--in", "1h", "--command", "echo a").word
    assert service.cli("schedule", "--id", "nightly", "--in", "1h", "--command", "echo a").word == first == "nightly"
    refused = service.cli("schedule", "--id", "nightly", "--in", "1h", "--command", "echo b", check=False)
    assert refused.code == 1
    assert refused.stderr.count(b"\n") == 1
    assert len(service.json("list")) == 1


def test_waiting_for_a_task_that_is_not_there_is_refused_before_any_other_is_told(service):
    done = service.cli("run", "-d", "--", "true").word
    refused = service.cli("wait", done, "nobody", check=False)
    assert (refused.code, refused.stdout) == (1, b"")
    assert b"nobody" in refused.stderr


def test_waiting_for_many_tells_of_each_once(service):
    ids = [service.cli("run", "-d", "--", "sh", "-c", f"exit {n % 2}").word for n in range(12)]
    done = service.cli("wait", *ids, check=False)
    assert done.code == 1
    assert sorted(line.split()[0] for line in done.text.splitlines()) == sorted(ids)
