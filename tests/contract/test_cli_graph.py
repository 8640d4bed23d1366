"""`why` and `graph` tell what the supervisor knows, for people and for programs."""

import json

from support.fake_api import answering, refusing
from tsched.cli import main
from tsched.proto import api_pb2 as api


def said(capfd, *words):
    code = main.run(words)
    out, err = capfd.readouterr()
    return code, out, err


def test_every_cause_is_a_line(fake, capfd):
    causes = [
        api.Cause(kind="dependency", message="waits for task 5, which is running", task="5"),
        api.Cause(kind="due", message="is due\x1b later", until_us=1_795_351_104_000_000),
    ]
    fake.on["Why"] = answering(api.WhyResponse(task=api.Task(id="7", state="blocked"), causes=causes))
    code, out, err = said(capfd, "why", "7")
    assert (code, err) == (0, "")
    head, first, second = out.splitlines()
    assert (head, first) == ("task 7: blocked", "  waits for task 5, which is running")
    assert second.startswith("  is due\\x1b later (20")
    assert fake.requests("Why")[0].id == "7"
    answer = json.loads(said(capfd, "why", "--id", "7", "--json")[1])
    assert answer["state"] == "blocked"
    assert answer["causes"][1]["until"] == "2026-11-22T12:38:24.000000Z"
    assert [each["task"] for each in answer["causes"]] == ["5", None]


def test_of_very_many_causes_people_are_told_the_first_and_how_many_more(fake, capfd):
    causes = [api.Cause(kind="dependency", message=f"waits for task {number}") for number in range(60)]
    fake.on["Why"] = answering(api.WhyResponse(task=api.Task(id="99", state="blocked"), causes=causes))
    lines = said(capfd, "why", "99")[1].splitlines()
    assert (len(lines), lines[-1]) == (52, "  and for 10 more (--json has them all)")
    assert len(json.loads(said(capfd, "why", "99", "--json")[1])["causes"]) == 60


def test_a_graph_is_a_tree_or_dot_or_json(fake, capfd):
    nodes = [api.Node(id="1", label="a", state="succeeded"), api.Node(id="2", label="b", state="ready")]
    edges = [api.Edge(parent="1", child="2", condition="ok", met=True)]
    fake.on["Graph"] = answering(api.GraphResponse(nodes=nodes, edges=edges, truncated=True))
    code, out, err = said(capfd, "graph", "2", "1", "2", "--limit", "2")
    assert (code, out) == (0, "1  succeeded  a\n2  ready  b\n")
    assert "more than these 2" in err
    assert (list(fake.requests("Graph")[0].ids), fake.requests("Graph")[0].limit) == (["2", "1"], 2)
    assert said(capfd, "graph", "2", "--dot")[1].startswith("digraph tsched {")
    code, out, err = said(capfd, "graph", "2", "--json")
    answer = json.loads(out)
    assert (err, answer["truncated"], answer["nodes"][1]["id"]) == ("", True, "2")
    assert answer["edges"] == [{"parent": "1", "child": "2", "condition": "ok", "met": True}]


def test_a_task_that_is_not_there_is_told(fake, capfd):
    fake.on["Why"] = fake.on["Graph"] = refusing("NOT_FOUND", "no_such_task", "no task 9", "tsched list")
    assert said(capfd, "why", "9") == (1, "", "tsched: no task 9 (tsched list)\n")
    assert said(capfd, "graph", "9")[0] == 1
    assert said(capfd, "graph")[0] == 2
