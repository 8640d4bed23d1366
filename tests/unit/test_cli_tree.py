"""A graph is told a line for each task, whatever its shape; nobody's text leaves its line or its quotes."""

import shutil
import subprocess
from itertools import pairwise

import pytest

from tsched.cli import escape, tree
from tsched.proto import api_pb2 as api


def graph(nodes, *edges):
    """`graph("a b", "a b ok", ...)`: states are `ready`."""
    made = [api.Node(id=each, label=f"do {each}", state="ready") for each in nodes.split()]
    split = [edge.split() for edge in edges]
    joined = [
        api.Edge(parent=parent, child=child, condition=(*more, "ok")[0], met=bool(more))
        for parent, child, *more in split
    ]
    return api.GraphResponse(nodes=made, edges=joined)


def test_what_waits_stands_below_what_it_waits_for():
    shown = graph("1 2 3 4 5 6 x y", "1 2", "1 3", "2 4", "2 5", "3 5 any", "5 6 fail")
    assert tree.text(shown) == (
        "1  ready  do 1\n"
        "|- 2  ready  do 2\n"
        "|  4  ready  do 4\n"
        "`- 3  ready  do 3\n"
        "   5  ready  do 5  (after 2, 3:any)\n"
        "   6  ready  do 6  (after 5:fail)\n"
        "\n"
        "x  ready  do x\n"
        "y  ready  do y"
    )


def test_a_chain_is_a_column():
    ids = [str(number) for number in range(1000)]
    text = tree.text(graph(" ".join(ids), *(f"{a} {b}" for a, b in pairwise(ids))))
    assert text.split("\n")[999] == "999  ready  do 999"


def test_many_parents_are_counted():
    ids = [str(number) for number in range(1000)]
    text = tree.text(graph(" ".join([*ids, "end"]), *(f"{each} end" for each in ids)))
    assert text.endswith("\nend  ready  do end  (after 0, 1, 2, 3, 4, 995 more)")
    assert text.count("\n") == 1001


def test_a_comb_is_not_drawn_ever_deeper():
    ids = [f"{number} {number}b" for number in range(300)]
    edges = [edge for number in range(299) for edge in (f"{number} {number + 1}", f"{number} {number + 1}b")]
    lines = tree.text(graph(" ".join(ids), *edges)).split("\n")
    assert len([line for line in lines if line]) == 600
    assert max(map(len, lines)) < 200


def test_it_fits_the_terminal_and_no_text_leaves_its_line():
    shown = graph("1 2", "1 2")
    shown.nodes[1].label = "x\n\x1b[2J" + "漢" * 100
    lines = tree.text(shown, columns=40).split("\n")
    assert len(lines) == 2
    assert max(map(escape.width, lines)) <= 40
    assert "\\n\\x1b" in lines[1]


def test_a_graph_that_was_cut_off_is_shown_as_far_as_it_goes():
    assert tree.text(graph("1 2", "1 2", "2 9", "8 1")) == "1  ready  do 1\n2  ready  do 2"
    assert tree.text(graph("")) == ""


def test_graphviz_is_told_what_came_true_and_what_not():
    shown = graph("1 2 3", "1 2", "1 3 fail")
    shown.nodes[2].label = 'say "a\\b"\n'
    assert tree.dot(shown).split("\n")[3:] == [
        '  "1" [label="1\\ndo 1\\nready"];',
        '  "2" [label="2\\ndo 2\\nready"];',
        '  "3" [label="3\\nsay \\"a\\\\b\\"\\\\n\\nready"];',
        '  "1" -> "2" [style=dashed];',
        '  "1" -> "3" [style=solid, label="fail"];',
        "}",
    ]


def test_graphviz_reads_it():
    if not shutil.which("dot"):
        pytest.skip("no dot here: that it reads our graphs was not tried")
    shown = graph("a b", "a b any")
    shown.nodes[0].label = 'x"\\\n{}<>|'
    subprocess.run(["dot", "-Tsvg"], input=tree.dot(shown).encode(), check=True, capture_output=True)
