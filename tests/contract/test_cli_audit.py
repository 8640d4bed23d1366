"""`audit` tells the newest last, in pages where there is much, as a table or as JSON."""

import json

from support.fake_api import answering
from tsched.cli import main
from tsched.proto import api_pb2 as api


def entry(number, **fields):
    return api.AuditEntry(
        number=number, at_us=1_500_000, who="tcp", what="submit", object="7", outcome="done", **fields
    )


def test_the_newest_comes_last_and_nothing_known_is_null(fake, capfd):
    fake.on["Audit"] = answering(api.AuditResponse(entries=[entry(9, role="viewer", where="tcp [::1]:5"), entry(8)]))
    assert main.run(["audit", "--json", "--who", "tcp", "--what", "submit", "--since", "@1.5", "-n", "2"]) == 0
    known = {"at": "1970-01-01T00:00:01.500000Z", "who": "tcp", "what": "submit", "object": "7", "outcome": "done"}
    assert json.loads(capfd.readouterr().out) == [
        {"number": 8, "role": None, "where": None, **known},
        {"number": 9, "role": "viewer", "where": "tcp [::1]:5", **known},
    ]
    [asked] = fake.requests("Audit")
    assert (asked.who, asked.what, asked.since_us, asked.limit) == ("tcp", "submit", 1_500_000, 2)


def test_more_than_a_message_holds_is_asked_for_in_pages(fake, capfd):
    def page(request, _context):
        newest = (request.before or 12_001) - 1
        return api.AuditResponse(entries=map(entry, range(newest, max(0, newest - request.limit), -1)))

    fake.on["Audit"] = page
    assert main.run(["audit", "-n", "0"]) == 0
    lines = capfd.readouterr().out.splitlines()
    assert len(lines) == 12_001
    assert lines[0].split() == ["AT", "WHO", "ROLE", "WHERE", "WHAT", "OBJECT", "OUTCOME"]
    assert [asked.before for asked in fake.requests("Audit")] == [0, 2001]


def test_nothing_is_said_to_be_nothing(fake, capfd):
    fake.on["Audit"] = answering(api.AuditResponse())
    assert main.run(["audit"]) == 0
    assert capfd.readouterr().err == "tsched: nothing was done\n"
