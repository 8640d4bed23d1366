"""`tsched` on another machine, as far as one machine can play it: over TCP under mutual TLS, end to end."""

import asyncio
import os
import subprocess
import sys

import pytest

from support import ports
from support.certs import CLIENT, DAY, SERVER, Authority
from support.wait import until
from tsched import AsyncClient, Client, Tls, TschedError
from tsched.proto.errors import EXIT_OK, EXIT_UNREACHABLE, EXIT_USAGE


class Far:
    """A service under TLS, and who may use it."""

    def __init__(self, make_service, folder, *, age_s=3600):
        self.folder = folder
        self.authority = Authority(folder)
        self.trusted = folder / "trusted.pem"
        self.trusted.write_bytes(self.authority.cert.read_bytes())
        self.pair = self.authority.sign("service", usages=[SERVER])
        self.me = self.authority.sign("me", usages=[CLIENT])
        self.addr = f"127.0.0.1:{ports.free()}"
        lines = ["[service]", f'addr = "{self.addr}"', f"tls_connection_age_s = {age_s}"]
        lines += [f'tls_cert = "{self.pair.cert}"', f'tls_key = "{self.pair.key}"', f'tls_ca_cert = "{self.trusted}"']
        lines += ["[access]", 'clients = { "tsched://client/me" = "admin" }']
        self.service = make_service("\n".join(lines))

    @property
    def flags(self):
        return self.to(self.addr, self.authority.cert, self.me)

    def to(self, addr, ca_cert=None, pair=None):
        flags = ["--addr", addr]
        flags += ["--tls-ca-cert", str(ca_cert)] if ca_cert else []
        return [*flags, *(["--tls-cert", str(pair.cert), "--tls-key", str(pair.key)] if pair else [])]

    def cli(self, *words, **options):
        """As `me`, the words of the address before a command's own."""
        place = words.index("--") if "--" in words else len(words)
        return self.service.cli(*words[:place], *self.flags, *words[place:], **options)

    @property
    def tls(self):
        return Tls(self.authority.cert, self.me.cert, self.me.key)


@pytest.fixture
def far(make_service, tmp_path):
    return Far(make_service, tmp_path)


def refused(far, code, *words, env=None):
    """What is said, in one line."""
    done = far.service.cli(*words, check=False, env=env)
    assert done.code == code, done
    assert done.stderr.count(b"\n") == 1, done
    return done.stderr.decode()


def test_who_is_not_named_may_submit_and_not_stop_the_service(far):
    other = far.to(far.addr, far.authority.cert, far.authority.sign("other", usages=[CLIENT]))
    assert far.service.cli("run", *other, "--", "echo", "hello").text == "hello\n"
    assert "Shutdown takes admin" in refused(far, 1, "down", *other)


def test_a_days_work_is_done_over_mutual_tls(far):
    done = far.cli("run", "--", "sh", "-c", "cat; echo out; echo err >&2; exit 3", input=b"in\n", check=False)
    assert (done.code, done.stdout, done.stderr) == (3, b"in\nout\n", b"err\n")
    task = far.cli("schedule", "--in", "0.2s", "--command", "echo 1; sleep 0.2; echo 2").word
    assert far.cli("logs", "-f", task).stdout == b"1\n2\n"
    assert far.cli("wait", task).code == EXIT_OK
    assert far.cli("call", "add", "1", "2").word == "3"
    assert task in far.cli("list").text
    assert far.cli("list", "--json").json[0]["id"]
    assert far.cli("status", "--json").json["pid"] == far.service.pid
    assert far.cli("doctor").code == EXIT_OK
    assert far.cli("events").lines
    assert far.cli("shell", input=b"functions add\nshow 1\n").code == EXIT_OK


def test_the_environment_says_it_too_but_a_socket_goes_before(far):
    env = {
        "TSCHED_ADDR": far.addr,
        "TSCHED_TLS_CA_CERT": str(far.authority.cert),
        "TSCHED_TLS_CERT": str(far.me.cert),
        "TSCHED_TLS_KEY": str(far.me.key),
    }
    local = {"TSCHED_SOCKET": str(far.folder / "nobody")}
    assert far.service.cli("run", "--", "true", env={**env, "TSCHED_SOCKET": ""}).code == EXIT_OK
    assert str(far.folder / "nobody") in refused(far, EXIT_UNREACHABLE, "list", env={**env, **local})
    # `up` is about this machine, whatever the environment says of others.
    assert b"began anew" in far.service.cli("up", "--replace", env=env).stdout
    proxy = "http://127.0.0.1:1"
    assert far.cli("list", env={"http_proxy": proxy, "https_proxy": proxy, "grpc_proxy": proxy}).code == EXIT_OK


def test_who_is_not_let_in_hears_why(far):
    other = Authority(far.folder, "another")
    late, server = far.authority.sign("late", until=-DAY), far.authority.sign("server", usages=[SERVER])
    ca = far.authority.cert

    def said(*where):
        return refused(far, EXIT_UNREACHABLE, "list", *far.to(far.addr, *where))

    assert "does not answer without TLS" in said()
    assert "--tls-cert and --tls-key" in said(ca)
    assert str(other.cert) in said(other.cert, far.me)
    assert "was not signed" in said(ca, other.sign("stranger"))
    assert "has ended" in said(ca, late)
    assert "not one for clients" in said(ca, server)
    assert far.cli("list").text.count("\n") <= 1  # nobody has left anything
    json = far.service.cli("run", "--json", *far.to(far.addr, ca), "--", "true", check=False).json
    assert json["error"]["reason"] == "tls_failed"


def test_a_service_that_is_not_the_one_is_told_by_what_is_wrong_with_it(far):
    def shows(pair):
        far.pair.cert.write_bytes(pair.cert.read_bytes())
        far.pair.key.write_bytes(pair.key.read_bytes())
        return refused(far, EXIT_UNREACHABLE, "list", *far.flags)

    assert "has ended" in shows(far.authority.sign("ended", until=-DAY))
    far.service.damaged = True  # doctor tells of it too
    elsewhere = far.to(far.addr.replace("127.0.0.1", "127.0.0.2"), far.authority.cert, far.me)
    assert "no supervisor is reached at 127.0.0.2" in refused(far, EXIT_UNREACHABLE, "list", *elsewhere)


def test_what_is_wrong_with_what_was_typed_is_told_before_anything_is_sent(far):
    nobody, ca = "127.0.0.1:1", far.authority.cert
    missing, pipe = far.folder / "missing.pem", far.folder / "pipe"
    os.mkfifo(pipe)
    other = far.authority.sign("other")
    mixed = type(other)(far.me.cert, other.key)
    for path in (missing, pipe, far.me.key, far.folder):
        assert str(path) in refused(far, EXIT_USAGE, "list", *far.to(nobody, path))
    assert str(missing) in refused(far, EXIT_USAGE, "list", *far.to(nobody, ca, mixed._replace(key=missing)))
    assert str(other.key) in refused(far, EXIT_USAGE, "list", *far.to(nobody, ca, mixed))
    assert "--tls-key" in refused(far, EXIT_USAGE, "list", *far.to(nobody, ca), "--tls-cert", str(far.me.cert))
    assert "--tls-ca-cert" in refused(far, EXIT_USAGE, "list", *far.to(nobody, None, far.me))
    assert "--tls-ca-cert" in refused(far, EXIT_USAGE, "list", "--addr", "192.0.2.1:50051")
    assert "--tls-ca-cert" in refused(far, EXIT_USAGE, "list", "--addr", "example.org:50051")
    assert "--addr" in refused(far, EXIT_USAGE, "list", "--tls-ca-cert", str(ca))
    assert "127.0.0.1:50051" in refused(far, EXIT_USAGE, "list", "--addr", "127.0.0.1")
    for flag in ("--socket", "--state-dir"):
        assert "give one of them" in refused(far, EXIT_USAGE, "list", "--addr", nobody, flag, "/x")
    assert f"{nobody}: Connection refused" in refused(far, EXIT_UNREACHABLE, "run", "--addr", nobody, "--", "true")


@pytest.fixture
def young(make_service, tmp_path):
    return Far(make_service, tmp_path, age_s=1)


def test_followers_outlive_their_connections_and_never_notice(young):
    many = "for i in 1 2 3 4; do echo $i; sleep 1; done; exit 4"
    followers = {
        "events": young.service.spawn("events", "-f", "--after", "0", *young.flags),
        "run": young.service.spawn(
            "run", *young.flags, "--name", "long", "--", "sh", "-c", many, stdin=subprocess.DEVNULL
        ),
    }
    [task] = until(lambda: [each for each in young.service.json("list") if each["name"] == "long"])
    followers["logs"] = young.service.spawn("logs", "-f", *young.flags, task["id"])
    followers["wait"] = young.service.spawn("wait", *young.flags, task["id"])
    for name, code in (("run", 4), ("logs", 0), ("wait", 4)):
        out, err = followers[name].communicate(timeout=60)
        assert (followers[name].returncode, b"away" in err) == (code, False), (name, out, err)
        assert name == "wait" or out == b"1\n2\n3\n4\n"
    events = followers["events"]
    seen = b""
    while b'"event": "failed"' not in seen:
        seen += events.stdout.readline()
    assert [seen.count(b'"event": "%s"' % word) for word in (b"submitted", b"started", b"failed")] == [1, 1, 1]


def test_who_is_not_trusted_any_more_is_out_and_hears_it(young):
    follower = young.service.spawn("events", "-f", "--after", "0", *young.flags)
    young.cli("run", "--", "true")
    assert follower.stdout.readline()
    new = Authority(young.folder, "new")
    young.trusted.write_bytes(new.cert.read_bytes())
    _, err = follower.communicate(timeout=60)
    assert follower.returncode == EXIT_UNREACHABLE
    assert b"does not accept the certificate" in err
    young.me = new.sign("me", usages=[CLIENT])
    assert young.cli("list").code == EXIT_OK


def test_a_run_goes_on_when_its_service_is_killed_and_started_again(far):
    gate = far.folder / "gate"
    command = f"echo before; until [ -e {gate} ]; do sleep 0.05; done; echo after; exit 5"
    run = far.service.spawn("run", *far.flags, "--", "sh", "-c", command)
    assert run.stdout.readline() == b"before\n"
    far.service.restart()
    gate.touch()
    out, err = run.communicate(timeout=60)
    assert (run.returncode, out) == (5, b"after\n")
    assert b"waiting for it to come back" in err


def test_down_waits_until_it_has_stopped(far):
    assert far.cli("down", "--json").json == {"stopped": far.service.pid}
    assert far.service.wait() == EXIT_OK
    assert "Connection refused" in refused(far, EXIT_UNREACHABLE, "down", *far.flags)
    far.service.start()
    far.cli("config", "reload")
    assert far.cli("status", "--json").json["pid"] == far.service.pid


def test_programs_come_that_way_too(far, monkeypatch):
    monkeypatch.setenv("TSCHED_SOCKET", "")
    with Client(addr=far.addr, tls=far.tls) as client:
        assert repr(client) == f"<Client of {far.addr}>"
        assert client.submit("add", 1, 2).result(timeout=30) == 3
        assert client.shell("exit 0").result(timeout=30) == 0

    async def scene():
        async with AsyncClient(addr=far.addr, tls=far.tls) as client:
            return await (await client.submit("add", 3, 4))

    assert asyncio.run(scene()) == 7
    with pytest.raises(TschedError, match="lets in only who shows") as raised:
        Client(addr=far.addr, tls=Tls(far.authority.cert)).get("1")
    assert raised.value.reason == "tls_failed"
    with pytest.raises(TschedError, match="missing"):
        Client(addr=far.addr, tls=Tls(far.folder / "missing"))

    async def in_vain(**where):
        async with AsyncClient(**where) as client:
            await client.get("1")

    for where, reason in (({"addr": "127.0.0.1:1"}, "no_supervisor"), ({"addr": far.addr}, "tls_failed")):
        with pytest.raises(TschedError) as raised:
            asyncio.run(in_vain(**where))
        assert raised.value.reason == reason
    code = "import tsched; tsched.configure(addr=%r, tls=tsched.Tls(%r, %r, %r)); print(tsched.default_client().submit('add', 1, 2).result())"
    words = [sys.executable, "-c", code % (far.addr, *map(str, far.tls))]
    assert subprocess.run(words, capture_output=True, check=True, env=far.service.env).stdout == b"3\n"
