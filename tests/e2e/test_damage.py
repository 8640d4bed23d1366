"""What is stored was damaged: it is named and not run, and nobody waits for it in vain."""

import sqlite3


def test_a_task_whose_record_was_damaged_is_never_run_and_says_so(service, witness):
    task = service.cli("schedule", "--in", "1h", "--command", witness.command("bad")).word
    other = service.cli("schedule", "--in", "1h", "--command", witness.command("good")).word
    service.kill9()
    service.damaged = True
    with sqlite3.connect(service.state_dir / "tsched.db") as db:
        [(seq, spec)] = db.execute("SELECT task, sealed FROM payloads ORDER BY task LIMIT 1").fetchall()
        flipped = spec[:-1] + bytes([spec[-1] ^ 1])
        db.execute("UPDATE payloads SET sealed = ? WHERE task = ?", (flipped, seq))
        db.execute("UPDATE tasks SET due_at_us = created_at_us")
    db.close()
    service.start()
    assert service.cli("wait", task, check=False).code == 1
    assert service.cli("wait", other).code == 0
    shown = service.json("list")
    assert {each["id"]: each["reason"] for each in shown} == {task: "corrupt_record", other: ""}
    assert not witness.starts("bad")
    findings = service.cli("doctor", "--json", check=False).json["findings"]
    problems = [each for each in findings if each["severity"] == "problem"]
    assert len(problems) == 1
    assert task in problems[0]["object"] + problems[0]["message"]
