"""The service on TCP as those who come that way find it: whole, over a reload, under TLS; refused before it starts."""

import socket

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha.proto_reflection_descriptor_database import ProtoReflectionDescriptorDatabase

from support import ports
from support.certs import Authority
from support.wait import until
from tsched.proto import api_pb2 as api
from tsched.proto.api_pb2_grpc import ControlStub
from tsched.proto.errors import EXIT_OK, EXIT_USAGE

ANSWER_S = 20
SERVICES = {"tsched.v1.Tasks", "tsched.v1.Functions", "tsched.v1.Control", "taskscheduler.TaskScheduler"}


@pytest.fixture
def authority(tmp_path):
    return Authority(tmp_path)


@pytest.fixture
def pair(authority):
    return authority.sign("service")


def on(port, tls=None, authority=None):
    lines = ["[service]", f'addr = "127.0.0.1:{port}"']
    lines += [f'tls_cert = "{tls.cert}"', f'tls_key = "{tls.key}"'] if tls else []
    lines += [f'tls_ca_cert = "{authority.cert}"'] if authority else []
    return "\n".join(lines)


def pid_at(channel):
    with channel:
        return ControlStub(channel).Status(api.StatusRequest(), timeout=ANSWER_S, wait_for_ready=False).pid


def plain(port):
    return grpc.insecure_channel(f"127.0.0.1:{port}")


def secure(port, authority, pair=None):
    key, cert = (pair.key.read_bytes(), pair.cert.read_bytes()) if pair else (None, None)
    credentials = grpc.ssl_channel_credentials(authority.cert.read_bytes(), key, cert)
    return grpc.secure_channel(f"127.0.0.1:{port}", credentials)


def kept_out(channel):
    with pytest.raises(grpc.RpcError) as raised:
        pid_at(channel)
    return raised.value.code() is grpc.StatusCode.UNAVAILABLE


def test_everything_is_served_there_and_on_the_socket(make_service):
    port = ports.free()
    service = make_service(on(port))
    for target in (f"127.0.0.1:{port}", f"unix:{service.socket}"):
        with grpc.insecure_channel(target) as channel:
            served = ProtoReflectionDescriptorDatabase(channel).get_services()
            assert not SERVICES.difference(served)
            for name in ("", *SERVICES):
                answer = health_pb2_grpc.HealthStub(channel).Check(
                    health_pb2.HealthCheckRequest(service=name), timeout=ANSWER_S
                )
                assert answer.status == health_pb2.HealthCheckResponse.SERVING
    assert pid_at(plain(port)) == service.pid
    assert service.json("status")["addr"] == f"127.0.0.1:{port}"
    assert any(f["object"] == f"127.0.0.1:{port}" and f["severity"] == "notice" for f in service.doctor()["findings"])


def test_it_is_there_after_a_reload_and_gone_after_the_end(make_service):
    port = ports.free()
    service = make_service(on(port))
    assert service.cli("up", "--replace").code == EXIT_OK
    assert pid_at(plain(port)) == service.pid
    service.stop()
    assert kept_out(plain(port))
    service.start()


def test_the_flag_says_where(make_service):
    service = make_service()
    port, state = ports.free(), service.base / "other"
    where = ["--state-dir", str(state), "--socket", str(service.base / "o")]
    try:
        service.cli("up", "-d", "--addr", f"localhost:{port}", *where)
        assert service.json("status", *where)["addr"] == f"127.0.0.1:{port}"
        said = service.cli("up", "--replace", "--addr", "127.0.0.1:1", *where)
        assert b"--addr was not heeded" in said.stderr
        assert pid_at(plain(port)) == service.json("status", *where)["pid"]
    finally:
        service.cli("down", *where)


def test_with_a_certificate_only_those_who_trust_it_talk_to_it(make_service, authority, pair):
    port = ports.free()
    service = make_service(on(port, pair))
    assert pid_at(secure(port, authority)) == service.pid
    assert kept_out(plain(port))
    assert kept_out(secure(port, Authority(service.base, "another")))


def test_with_an_authority_only_those_it_signed_for_get_in(make_service, authority, pair):
    port = ports.free()
    service = make_service(on(port, pair, authority))
    assert pid_at(secure(port, authority, authority.sign("client"))) == service.pid
    assert kept_out(secure(port, authority))
    assert kept_out(secure(port, authority, Authority(service.base, "another").sign("stranger")))
    assert kept_out(plain(port))
    assert service.cli("run", "--", "echo", "alive").stdout == b"alive\n"


def refused(service, *flags):
    """What `up` says in one line; nothing was started or written."""
    state = service.base / "never"
    done = service.cli("up", "-d", *flags, "--state-dir", str(state), "--socket", str(service.base / "n"), check=False)
    assert done.code == EXIT_USAGE, done
    assert done.stderr.count(b"\n") == 1, done
    assert not (service.base / "n").exists()
    assert not (state / "tsched.db").exists()
    return done.stderr.decode()


def test_what_cannot_be_listened_at_is_refused_by_name(make_service, pair):
    service = make_service()
    assert "--tls-cert" in refused(service, "--addr", "0.0.0.0:50051")
    assert "127.0.0.1:50051" in refused(service, "--addr", "50051")
    missing = service.base / "missing.pem"
    flags = ["--addr", "127.0.0.1:50051", "--tls-cert", str(pair.cert)]
    assert "--tls-key" in refused(service, *flags)
    assert str(missing) in refused(service, *flags, "--tls-key", str(missing))
    assert str(pair.cert) in refused(service, *flags, "--tls-key", str(pair.cert))
    assert "--addr" in refused(service, "--tls-cert", str(pair.cert), "--tls-key", str(pair.key))


def test_a_port_that_is_taken_is_refused_and_the_other_goes_on(make_service):
    port = ports.free()
    service = make_service(on(port))
    state = service.base / "second"
    where = ["--state-dir", str(state), "--socket", str(service.base / "2")]
    done = service.cli("up", "-d", "--addr", f"127.0.0.1:{port}", *where, check=False)
    assert done.code == EXIT_USAGE
    assert f"127.0.0.1:{port}: Address already in use" in done.stderr.decode()
    assert pid_at(plain(port)) == service.pid


def test_a_reload_refuses_certificates_that_are_no_good_and_goes_on(make_service, pair):
    port = ports.free()
    service = make_service(on(port, pair))
    pair.cert.write_text("no certificate")
    done = service.cli("up", "--replace", check=False)
    assert done.code == EXIT_USAGE
    assert str(pair.cert) in done.stderr.decode()
    assert service.cli("run", "--", "echo", "alive").stdout == b"alive\n"
    pair.cert.unlink()
    (service.base / "config.toml").write_text("")
    service.cli("up", "--replace")
    assert service.json("status")["addr"] is None


def test_garbage_on_the_port_harms_nobody(make_service):
    port = ports.free()
    service = make_service(on(port))
    for garbage in (b"GET / HTTP/1.1\r\n\r\n", b"\x16\x03\x01" * 3000, b"\0" * 70_000):
        with socket.create_connection(("127.0.0.1", port), timeout=5) as client:
            client.sendall(garbage)
    until(lambda: pid_at(plain(port)) == service.pid)
