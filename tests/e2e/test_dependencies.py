"""Tasks that wait for others, with a real service: chains, fans, conditions, and what becomes of them on every way."""

import pytest

from support.wait import until
from tsched.client.connection import Connection
from tsched.proto import api_pb2 as api
from tsched.proto import checks
from tsched.proto.errors import Refusal, RefusalReason

ONE_SLOT = "[executors]\ncount = 1\nslots = 1\n"
MANY = checks.TASKS_LIMIT


@pytest.fixture
def client(service):
    with Connection(service.socket) as client:
        yield client


def task(command="true", *, after=(), condition="", **fields):
    """A task that runs in a shell, after others named by id or by place."""
    refs = [api.TaskRef(index=each) if isinstance(each, int) else api.TaskRef(id=each) for each in after]
    named = [api.Dependency(task=each, condition=condition) for each in refs]
    return api.TaskSpec(command=api.Command(shell=command), cwd="/", after=named, **fields)


def ended(client, *ids):
    """How each of them ended, by id."""
    return {each.id: each for each in client.wait(ids, timeout_us=60_000_000)}


def states(client, *ids):
    return [each.state for each in (ended(client, *ids)[one] for one in ids)]


def ids_of(submitted):
    return [each.id for each in submitted]


def refusal(call, *args, **values):
    with pytest.raises(Refusal) as refused:
        call(*args, **values)
    return refused.value


def kinds(client, task_id):
    return [each.kind for each in client.why(task_id).causes]


def test_a_chain_of_one_request_runs_in_its_order(client, witness):
    chain = [task(witness.command(f"c{n}"), after=[n - 1] if n else []) for n in range(5)]
    submitted = client.submit(chain)
    assert [each.state for each in submitted] == ["ready", *["blocked"] * 4]
    assert states(client, *ids_of(submitted)) == ["succeeded"] * 5
    assert [(line.what, line.name) for line in witness.lines()] == [
        (what, f"c{n}") for n in range(5) for what in ("start", "end")
    ]


def test_a_task_starts_when_the_last_of_those_it_waits_for_has_ended(client, service, witness):
    body = "while [ ! -e {}/go{} ]; do sleep 0.02; done"
    parents = [task(witness.command(f"p{n}", body.format(service.base, n))) for n in range(3)]
    *three, last = ids_of(client.submit([*parents, task(witness.command("last"), after=[0, 1, 2])]))
    for n in range(3):
        assert client.get(last).waits_for == 3 - n
        (service.base / f"go{n}").touch()
        ended(client, three[n])
    assert states(client, last) == ["succeeded"]
    shown = client.get(last).after
    assert [(each.id, each.condition, each.state, each.met) for each in shown] == [
        (each, "ok", "succeeded", True) for each in three
    ]


def test_a_failure_skips_all_that_wait_for_success_and_lets_the_others_go(client):
    specs = [
        task("exit 3", id="bad"),
        task(after=["bad"], id="child"),
        task(after=["child"], id="grandchild"),
        task(after=["bad"], condition="fail", id="repair"),
        task(after=["bad"], condition="any", id="always"),
        task(after=["grandchild"], condition="any", id="afterwards"),
        task(after=["child"], condition="fail", id="instead"),
    ]
    ids = ids_of(client.submit(specs))
    found = ended(client, *ids)
    skipped = {each.id: (each.reason, each.message) for each in found.values() if each.state == "skipped"}
    assert set(skipped) == {"child", "grandchild"}
    assert skipped["child"] == ("dependency", "it was to wait for task bad to succeed, which failed")
    assert "task child" in skipped["grandchild"][1]
    assert [found[each].state for each in ("repair", "always", "afterwards", "instead")] == ["succeeded"] * 4
    [why] = client.why("grandchild").causes
    assert (why.kind, why.task) == ("ended", "child")


def test_what_has_ended_before_counts_and_what_can_never_be_is_skipped_at_once(client):
    good, bad = ids_of(client.submit([task(), task("exit 1")]))
    ended(client, good, bad)
    now, never = client.submit([task(after=[good]), task(after=[bad])])
    assert (now.state, never.state) == ("ready", "skipped")
    assert states(client, now.id, never.id) == ["succeeded", "skipped"]
    assert refusal(client.submit, [task(after=["nobody"])]).reason == RefusalReason.NO_SUCH_TASK


def test_cancelling_a_task_that_waits_skips_those_that_wait_for_it(client):
    first, second, third = ids_of(client.submit([task(hold=True), task(after=[0]), task(after=[1])]))
    assert refusal(client.delete, first).reason == RefusalReason.WRONG_STATE
    client.cancel(first)
    assert states(client, first, second, third) == ["cancelled", "skipped", "skipped"]


def test_a_blocked_task_that_is_held_waits_for_both(client):
    first, second, third = ids_of(client.submit([task(hold=True), task(after=[0]), task(after=[0])]))
    assert [client.hold(each).state for each in (second, third)] == ["held", "held"]
    assert client.release(third).state == "blocked"
    client.release(first)
    assert states(client, third) == ["succeeded"]
    assert client.get(second).state == "held"
    assert kinds(client, second) == ["held"]
    client.release(second)
    assert states(client, second) == ["succeeded"]


def test_a_chain_goes_on_after_kill_9_in_its_midst_and_each_runs_once(client, service, witness):
    body = f"while [ ! -e {service.base}/go ]; do sleep 0.02; done"
    chain = [task(witness.command(f"c{n}", body if n == 2 else ":"), after=[n - 1] if n else []) for n in range(5)]
    ids = ids_of(client.submit(chain))
    witness.wait_start("c2")
    service.kill9()
    (service.base / "go").touch()
    witness.wait_end("c2")
    service.start()
    client.await_ready(30)
    assert states(client, *ids) == ["succeeded"] * 5
    assert [len(witness.starts(f"c{n}")) for n in range(5)] == [1] * 5


def test_a_command_that_fails_is_tried_again_after_growing_delays_and_its_child_waits_for_the_last(client, witness):
    body = f"[ $(grep -c start {witness.path}) -ge 3 ]"
    specs = [task(witness.command("try", body), retries=5, retry_delay_us=200_000), task(after=[0])]
    first, child = ids_of(client.submit(specs))
    witness.wait_end("try")
    until(lambda: client.get(first).state == "retrying" or len(witness.starts("try")) > 1)
    assert client.get(child).state == "blocked"
    assert states(client, first, child) == ["succeeded", "succeeded"]
    shown = client.get(first)
    assert [each.state for each in shown.attempts] == ["failed", "failed", "succeeded"]
    ends = [each.finished_at_us for each in shown.attempts]
    starts = [each.started_at_us for each in shown.attempts]
    assert starts[1] - ends[0] >= 200_000
    assert starts[2] - ends[1] >= 400_000


def test_a_command_that_keeps_failing_fails_in_the_end(client):
    [once] = ids_of(client.submit([task("exit 4", retries=2, retry_delay_us=1_000)]))
    assert states(client, once) == ["failed"]
    shown = client.get(once)
    assert (shown.exit_code, shown.max_attempts, len(shown.attempts)) == (4, 3, 3)
    assert "in 3 attempts" in client.why(once).causes[0].message


def test_a_waiting_task_can_be_given_others_to_wait_for(client):
    held, other, child = ids_of(client.submit([task(hold=True), task(hold=True), task(after=[0])]))
    after = api.Dependencies(after=[api.Dependency(task=api.TaskRef(id=other), condition="any")])
    changed = client.modify(api.ModifyRequest(id=child, after=after))
    assert [(each.id, each.condition) for each in changed.after] == [(other, "any")]
    client.cancel(other)
    assert states(client, child) == ["succeeded"]
    free = ids_of(client.submit([task(after=[held])]))[0]
    client.modify(api.ModifyRequest(id=free, after=api.Dependencies()))
    assert states(client, free) == ["succeeded"]
    client.cancel(held)


def test_a_cycle_is_refused_and_printed(client):
    round_ = [task(id="a", after=["c"], hold=True), task(id="b", after=["a"]), task(id="c", after=["b"])]
    refused = refusal(client.submit, round_)
    assert refused.reason == RefusalReason.CYCLE
    assert "a -> " in refused.message
    assert not list(client.tasks())
    client.submit([task(id="a", hold=True), task(id="b", after=["a"]), task(id="c", after=["b"])])
    after = api.Dependencies(after=[api.Dependency(task=api.TaskRef(id="c"))])
    refused = refusal(client.modify, api.ModifyRequest(id="a", after=after))
    assert refused.reason == RefusalReason.CYCLE
    assert all(f"{each} -> " in refused.message for each in "abc"), refused.message
    assert refusal(client.submit, [task(id="self", after=[0])]).reason == RefusalReason.CYCLE
    client.cancel("a")


def test_the_same_submission_again_is_the_same_task(client):
    specs = [task(id="p", hold=True), task(after=["p"], key="k")]
    assert ids_of(client.submit(specs)) == ids_of(client.submit(specs))
    other = task(after=["p"], condition="any", key="k")
    assert refusal(client.submit, [other]).reason == RefusalReason.ID_TAKEN
    client.cancel("p")


def test_why_tells_each_cause(make_service):
    service = make_service(ONE_SLOT)
    with Connection(service.socket) as client:
        until(lambda: any(each.state == "attached" for each in client.status().executors))
        body = f"while [ ! -e {service.base}/go ]; do sleep 0.02; done"
        client.submit([task(body, id="runs")])
        until(lambda: kinds(client, "runs") == ["running"])
        specs = [
            task(id="next"),
            task(id="later", delay_us=3_600_000_000),
            task(id="kept", hold=True),
            task(id="child", after=["kept", "runs"], delay_us=3_600_000_000),
        ]
        client.submit(specs)
        assert kinds(client, "later") == ["due"]
        assert kinds(client, "kept") == ["held"]
        assert kinds(client, "child") == ["dependency", "dependency", "due"]
        assert client.why("child").causes[0].task == "kept"
        [slot] = client.why("next").causes
        assert (slot.kind, slot.task) == ("slot", "runs")
        client.pause("runs")
        assert kinds(client, "runs") == ["paused"]
        client.resume("runs")
        (service.base / "go").touch()
        assert states(client, "runs", "next") == ["succeeded", "succeeded"]
        assert kinds(client, "child") == ["dependency", "due"]
        client.submit([task("exit 1", id="again", retries=1, retry_delay_us=3_600_000_000)])
        until(lambda: kinds(client, "again") == ["retry"])
        assert refusal(client.why, "nobody").reason == RefusalReason.NO_SUCH_TASK
        client.submit([task("trap '' TERM; sleep 60", id="tough", grace_us=60_000_000)])
        until(lambda: kinds(client, "tough") == ["running"])
        client.cancel("tough")
        assert kinds(client, "tough") == ["stopping"]
        client.cancel("tough", grace_us=0)
        ended(client, "tough")
        for each in ("later", "kept", "again"):
            client.cancel(each)
        assert states(client, "child") == ["skipped"]


def test_a_graph_shows_what_hangs_together_parents_first(client):
    specs = [task(id="p", hold=True, name="the parent"), task(id="c", after=["p"]), task(id="alone", hold=True)]
    client.submit(specs)
    shown = client.graph(["c"])
    assert [(each.id, each.label, each.state) for each in shown.nodes] == [
        ("p", "the parent", "held"),
        ("c", "true", "blocked"),
    ]
    assert [(each.parent, each.child, each.condition, each.met) for each in shown.edges] == [("p", "c", "ok", False)]
    assert client.graph(["c"], limit=1).truncated
    assert refusal(client.graph, ["nobody"]).reason == RefusalReason.NO_SUCH_TASK
    client.cancel("p")
    client.cancel("alone")


def test_ten_thousand_wait_for_one_and_one_for_ten_thousand(client):
    client.submit([task("exit 1", id="one", hold=True)])
    fan = ids_of(client.submit([api.TaskSpec() for _ in range(MANY)], common=task(after=["one"])))
    [last] = ids_of(client.submit([task(after=fan, condition="any")]))
    assert client.get(last).waits_for == MANY
    client.release("one")
    assert states(client, last) == ["succeeded"]
    assert {each.state for each in client.wait(fan, outcomes=True)} == {"skipped"}
    assert client.graph([last], limit=5).truncated


def test_a_task_that_was_tried_before_waits_for_others_and_then_for_its_time(client):
    [tried, other] = ids_of(client.submit([task("exit 1", retries=1, retry_delay_us=600_000), task(hold=True)]))
    until(lambda: client.get(tried).state == "retrying")
    client.hold(tried)
    after = api.Dependencies(after=[api.Dependency(task=api.TaskRef(id=other), condition="any")])
    client.modify(api.ModifyRequest(id=tried, after=after))
    assert client.release(tried).state == "blocked"
    client.cancel(other)
    assert states(client, tried) == ["failed"]
    assert len(client.get(tried).attempts) == 2
