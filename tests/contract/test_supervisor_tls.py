"""Under TLS nobody reaches a handler who may not; certificates are exchanged while the service runs; nobody stays."""

import socket
import ssl
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import grpc
import pytest

from support import ports
from support.certs import CLIENT, DAY, SERVER, Authority
from support.wait import until
from tsched.proto import endpoint
from tsched.supervisor import renewal
from tsched.supervisor.pems import Tls
from tsched.supervisor.renewal import Renewal

CALL, STREAM = "/t.T/Call", "/t.T/Stream"
ANSWER_S = 20


class Logged:
    """What the service logs of its certificates."""

    def __init__(self):
        self.lines = []

    def get(self):
        return self

    def error(self, event, **values):
        self.lines.append((event, values))

    info = error


class Guarded(grpc.GenericRpcHandler):
    """Counts who comes in."""

    def __init__(self):
        self.calls = 0
        self.cut_off = 0

    def service(self, details):
        self.calls += 1
        if details.method == CALL:
            return grpc.unary_unary_rpc_method_handler(lambda *_: b"in")
        return grpc.unary_stream_rpc_method_handler(self._stream)

    def _stream(self, request, context):
        gone = threading.Event()
        context.add_callback(gone.set)
        yield b"in"
        gone.wait(ANSWER_S)
        self.cut_off += 1


class Scene:
    """A door under TLS, with the way it reads its certificates."""

    def __init__(self, folder, *, age_s=3600, mutual=True):
        self.folder = folder
        self.authority = Authority(folder)
        self.pair = self.authority.sign("service", usages=[SERVER])
        self.ca = folder / "trusted.pem"
        self.ca.write_bytes(self.authority.cert.read_bytes())
        self.renewal = Renewal(Tls(cert=self.pair.cert, key=self.pair.key, ca_cert=self.ca if mutual else None))
        self.handler = Guarded()
        self.port = ports.free()
        self.server = grpc.server(ThreadPoolExecutor(8), [self.handler], options=endpoint.tcp_server_options(age_s))
        self.server.add_secure_port(f"127.0.0.1:{self.port}", self.renewal.credentials())
        self.server.start()

    def client(self, pair=None, authority=None):
        key, cert = (pair.key.read_bytes(), pair.cert.read_bytes()) if pair else (None, None)
        credentials = grpc.ssl_channel_credentials((authority or self.authority).cert.read_bytes(), key, cert)
        return grpc.secure_channel(f"127.0.0.1:{self.port}", credentials, endpoint.TCP_CHANNEL_OPTIONS)

    def lets_in(self, *args):
        with self.client(*args) as channel:
            return admitted(channel)

    def serial(self):
        """Of the certificate that it shows."""
        trusting = ssl.create_default_context(cafile=self.authority.cert)
        trusting.load_cert_chain(*self.authority.sign("looker"))
        with (
            socket.create_connection(("127.0.0.1", self.port)) as bare,
            trusting.wrap_socket(bare, server_hostname="127.0.0.1") as shown,
        ):
            return shown.getpeercert()["serialNumber"]

    def replace(self, pair):
        """As an administrator does: one file after the other."""
        self.pair.cert.write_bytes(pair.cert.read_bytes())
        self.pair.key.write_bytes(pair.key.read_bytes())


def admitted(channel):
    call = channel.unary_unary(CALL).future(b"", timeout=ANSWER_S)
    assert call.code() in (grpc.StatusCode.OK, grpc.StatusCode.UNAVAILABLE), call
    return call.code() is grpc.StatusCode.OK


@pytest.fixture
def logged(monkeypatch):
    logged = Logged()
    monkeypatch.setattr(renewal, "log", logged)
    return logged.lines


@pytest.fixture
def make_scene(tmp_path, logged):
    made = []

    def make(**options):
        made.append(Scene(tmp_path, **options))
        return made[-1]

    yield make
    for scene in made:
        scene.server.stop(0).wait()


@pytest.fixture
def scene(make_scene):
    return make_scene()


def test_who_may_not_never_reaches_a_handler(scene, tmp_path):
    other = Authority(tmp_path, "another")
    assert not scene.lets_in()
    assert not scene.lets_in(other.sign("stranger"))
    assert not scene.lets_in(scene.authority.sign("late", until=-DAY))
    assert not scene.lets_in(scene.authority.sign("server", usages=[SERVER]))
    with grpc.insecure_channel(f"127.0.0.1:{scene.port}") as channel:
        assert not admitted(channel)
    assert scene.handler.calls == 0
    assert scene.lets_in(scene.authority.sign("client", usages=[CLIENT]))
    assert scene.handler.calls == 1


def test_tls_older_than_1_2_is_refused(scene):
    context = ssl.create_default_context(cafile=scene.authority.cert)
    context.set_ciphers("ALL:@SECLEVEL=0")
    with pytest.warns(DeprecationWarning, match="TLSv1"):
        context.minimum_version, context.maximum_version = ssl.TLSVersion.TLSv1, ssl.TLSVersion.TLSv1_1
    context.load_cert_chain(*scene.authority.sign("client"))
    with (
        socket.create_connection(("127.0.0.1", scene.port)) as bare,
        pytest.raises(ssl.SSLError, match=r"(?i)EOF|alert"),
    ):
        context.wrap_socket(bare, server_hostname="127.0.0.1")
    context.maximum_version = context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_alpn_protocols(["h2"])
    with (
        socket.create_connection(("127.0.0.1", scene.port)) as bare,
        context.wrap_socket(bare, server_hostname="127.0.0.1") as secure,
    ):
        assert secure.version() == "TLSv1.2"


def test_a_service_whose_certificate_has_ended_is_not_believed(scene):
    scene.replace(scene.authority.sign("ended", until=-DAY))
    assert not scene.lets_in(scene.authority.sign("client"))
    assert scene.handler.calls == 0


def test_a_new_certificate_is_shown_from_the_next_connection_on(scene, logged):
    first = scene.serial()
    scene.replace(scene.authority.sign("second"))
    second = scene.serial()
    assert second != first
    assert scene.serial() == second
    assert [event for event, _ in logged] == ["certificates_read"]


def test_what_is_no_good_leaves_the_last_good_one_and_is_said_once(scene, logged):
    first = scene.serial()
    other = scene.authority.sign("other")
    whole = other.cert.read_bytes()
    for spoil in (
        lambda: scene.pair.cert.write_bytes(b"garbage"),
        lambda: scene.pair.cert.write_bytes(whole[: len(whole) // 2]),
        lambda: scene.pair.cert.write_bytes(whole),  # the key is still the other one
        scene.pair.cert.unlink,
    ):
        logged.clear()
        spoil()
        assert scene.serial() == scene.serial() == first
        [(event, values)] = logged
        assert event == "certificates_refused"
        assert str(scene.pair.cert) in values["error"]
        [found] = scene.renewal.findings(0)
        assert found.severity == "problem"
    logged.clear()
    scene.replace(other)
    assert scene.serial() != first
    assert list(scene.renewal.findings(0)) == []
    assert [event for event, _ in logged] == ["certificates_read"]


def test_what_the_doctor_has_seen_first_is_shown_too(scene):
    first = scene.serial()
    scene.replace(scene.authority.sign("second"))
    assert list(scene.renewal.findings(0)) == []
    assert scene.serial() != first


def test_a_bundle_lets_both_in_until_the_old_authority_is_taken_out(scene, tmp_path):
    new = Authority(tmp_path, "new")
    before, after = scene.authority.sign("before"), new.sign("after")
    assert not scene.lets_in(after)
    scene.ca.write_bytes(scene.authority.cert.read_bytes() + new.cert.read_bytes())
    assert scene.lets_in(before)
    assert scene.lets_in(after)
    scene.ca.write_bytes(new.cert.read_bytes())
    assert not scene.lets_in(before)
    assert scene.lets_in(after)


def test_a_session_of_before_does_not_let_back_in_whom_nobody_trusts_any_more(scene, tmp_path):
    context = ssl.create_default_context(cafile=scene.authority.cert)
    context.set_alpn_protocols(["h2"])
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    context.load_cert_chain(*scene.authority.sign("client"))

    @contextmanager
    def within(session=None):
        with socket.create_connection(("127.0.0.1", scene.port)) as bare:
            bare.settimeout(ANSWER_S)
            with context.wrap_socket(bare, server_hostname="127.0.0.1", session=session) as secure:
                assert secure.recv(1)
                yield secure

    with within() as first, within(first.session) as second:
        assert second.session_reused  # else this proves nothing
        scene.ca.write_bytes(Authority(tmp_path, "new").cert.read_bytes())
        with pytest.raises((ssl.SSLError, AssertionError, ConnectionError)), within(second.session):
            pass


def test_a_connection_has_an_age_and_whom_nobody_trusts_any_more_is_out(make_scene, tmp_path):
    scene, new = make_scene(age_s=1), Authority(tmp_path, "new")
    scene.ca.write_bytes(scene.authority.cert.read_bytes() + new.cert.read_bytes())
    with scene.client(scene.authority.sign("goes")) as goes, scene.client(new.sign("stays")) as stays:
        streams = [channel.unary_stream(STREAM)(b"") for channel in (goes, stays)]
        assert [next(stream) for stream in streams] == [b"in", b"in"]
        scene.ca.write_bytes(new.cert.read_bytes())
        assert admitted(goes)  # the connection that it has is good for a while
        for stream in streams:
            with pytest.raises(grpc.RpcError) as raised:
                next(stream)
            assert raised.value.code() is grpc.StatusCode.UNAVAILABLE
        until(lambda: scene.handler.cut_off == 2)
        calls = scene.handler.calls
        assert not admitted(goes)
        assert scene.handler.calls == calls
        assert admitted(stays)


def test_without_an_authority_certificates_are_exchanged_too(make_scene):
    scene = make_scene(mutual=False)
    assert scene.lets_in()
    first = scene.serial()
    scene.replace(scene.authority.sign("second"))
    assert scene.serial() != first
    assert scene.lets_in()
