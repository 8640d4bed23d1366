"""Where the service may listen on TCP, and what is said of certificates that are no good."""

import os

import pytest

from support.certs import DAY, Authority
from tsched.proto.clock import SystemClock
from tsched.proto.errors import Refusal
from tsched.supervisor import config
from tsched.supervisor.listen import Listen, Way, Wish, findings, parsed, prepared, wanted
from tsched.supervisor.pems import Tls, read
from tsched.supervisor.renewal import Renewal

NOTHING = Wish()
CERTS = {"tls_cert": "/c", "tls_key": "/k"}


@pytest.fixture
def authority(tmp_path):
    return Authority(tmp_path)


@pytest.fixture
def pair(authority):
    return authority.sign("service")


def refused(call, *args):
    with pytest.raises(Refusal) as raised:
        call(*args)
    assert raised.value.hint
    return f"{raised.value.message} ({raised.value.hint})"


@pytest.mark.parametrize(
    ("addr", "host", "port"),
    [
        ("127.0.0.1:50051", "127.0.0.1", 50051),
        ("localhost:1", "127.0.0.1", 1),
        ("0.0.0.0:65535", "0.0.0.0", 65535),
        ("[::1]:50051", "::1", 50051),
    ],
)
def test_an_address_is_an_ip_address_or_localhost_and_a_port(addr, host, port):
    assert parsed(addr) == (host, port)


@pytest.mark.parametrize(
    "addr",
    [
        "",
        ":50051",
        "127.0.0.1",
        "127.0.0.1:",
        "127.0.0.1:0",
        "127.0.0.1:65536",
        "127.0.0.1:\u0661",
        "::1:50051",
        "[::1:50051",
        "[127.0.0.1]:50051",
        "127.0.0.1:50051\n",
        "example.org:50051",
        "unix:/tmp/s",
        "x" * 1000,
        "\0:1",
    ],
)
def test_anything_else_is_refused_with_what_to_write(addr):
    assert "127.0.0.1:50051" in refused(parsed, addr)


def test_nobody_asked_is_no_listening():
    assert wanted(NOTHING, NOTHING) is None
    assert prepared(NOTHING, config.load(None)) is None


@pytest.mark.parametrize("addr", ["127.0.0.1:1", "127.8.9.1:1", "[::1]:1", "localhost:1"])
def test_the_loopback_needs_no_certificate(addr):
    assert wanted(Wish(addr=addr), NOTHING).tls is None


@pytest.mark.parametrize("addr", ["0.0.0.0:1", "[::]:1", "192.168.1.1:1", "[::ffff:192.168.1.1]:1"])
def test_any_other_address_needs_tls(addr):
    said = refused(wanted, Wish(addr=addr), NOTHING)
    assert "--tls-cert" in said
    assert "127.0.0.1" in said
    assert wanted(Wish(addr=addr, **CERTS), NOTHING).tls.ca_cert is None


def test_a_flag_goes_before_the_configuration():
    found = wanted(Wish(addr="127.0.0.1:1", tls_ca_cert="/a"), Wish(addr="127.0.0.1:2", tls_ca_cert="/b", **CERTS))
    assert found.address == "127.0.0.1:1"
    assert [str(path) for path in (found.tls.cert, found.tls.key, found.tls.ca_cert)] == ["/c", "/k", "/a"]


def test_half_of_what_tls_needs_is_refused():
    assert "--tls-key" in refused(wanted, Wish(addr="127.0.0.1:1", tls_cert="/c"), NOTHING)
    assert "--tls-cert" in refused(wanted, Wish(addr="127.0.0.1:1", tls_ca_cert="/c"), NOTHING)
    assert "--addr" in refused(wanted, Wish(**CERTS), NOTHING)


def test_files_that_belong_together_are_read(authority, pair):
    pems = read(Tls(cert=pair.cert, key=pair.key, ca_cert=authority.cert))
    assert b"BEGIN CERTIFICATE" in pems.cert
    assert b"PRIVATE KEY" in pems.key
    assert b"BEGIN CERTIFICATE" in pems.ca_cert


@pytest.mark.parametrize("garbage", [b"", b"hello\n", b"\xff" * 5000, b"-----BEGIN CERTIFICATE-----\nAAAA\n", None])
@pytest.mark.parametrize("which", ["cert", "key", "ca_cert"])
def test_a_file_that_is_no_good_is_refused_by_its_name(authority, pair, tmp_path, garbage, which):
    path = tmp_path / "bad.pem"
    if garbage is not None:
        path.write_bytes(garbage)
    files = {"cert": pair.cert, "key": pair.key, "ca_cert": authority.cert, which: path}
    assert str(path) in refused(read, Tls(**files))


def test_a_folder_and_what_is_far_too_large_are_refused_by_name(pair, tmp_path):
    (tmp_path / "huge").write_bytes(pair.cert.read_bytes() + b"x" * (1 << 20))
    for path in (tmp_path, tmp_path / "huge"):
        assert str(path) in refused(read, Tls(cert=path, key=pair.key, ca_cert=None))


def test_a_pipe_is_refused_and_not_waited_for(pair, tmp_path):
    os.mkfifo(tmp_path / "pipe")
    assert str(tmp_path / "pipe") in refused(read, Tls(cert=pair.cert, key=tmp_path / "pipe", ca_cert=None))


def test_a_key_of_another_certificate_is_refused(authority, pair):
    other = authority.sign("other")
    said = refused(read, Tls(cert=pair.cert, key=other.key, ca_cert=None))
    assert str(pair.cert) in said
    assert str(other.key) in said


def listening(host="127.0.0.1", tls=None):
    listen = Listen(host=host, port=50051, tls=tls)
    return Way(listen=listen, certificates=Renewal(tls) if tls else None)


def told(way):
    return list(findings(way, SystemClock().now_us()))


def test_the_doctor_says_who_can_use_the_port(authority, pair):
    assert "every user of this machine" in told(listening())[0].message
    assert "not asked" in told(listening("0.0.0.0", Tls(cert=pair.cert, key=pair.key, ca_cert=None)))[0].message
    assert told(listening("0.0.0.0", Tls(cert=pair.cert, key=pair.key, ca_cert=authority.cert))) == []


@pytest.mark.parametrize(("days", "severity"), [(-1, "problem"), (10, "notice")])
def test_the_doctor_says_when_a_certificate_ends(authority, days, severity):
    pair = authority.sign("old", until=days * DAY)
    [found] = told(listening(tls=Tls(cert=pair.cert, key=pair.key, ca_cert=authority.cert)))
    assert (found.severity, found.object) == (severity, str(pair.cert))


def test_the_doctor_says_that_others_can_read_the_key(authority, pair):
    pair.key.chmod(0o644)
    [found] = told(listening(tls=Tls(cert=pair.cert, key=pair.key, ca_cert=authority.cert)))
    assert found.object == str(pair.key)
