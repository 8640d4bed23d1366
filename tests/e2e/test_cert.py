"""Certificates to try TLS with: made so that they work, kept from others, and never written over."""

import os
import stat

import pytest
from cryptography import x509

from support import ports
from support.service import Service
from tsched.proto.errors import EXIT_CONFLICT, EXIT_USAGE


@pytest.fixture
def here(tmp_path):
    """The command line, and no service."""
    return Service(tmp_path)


def names(path):
    cert = x509.load_pem_x509_certificate(path.read_bytes())
    return [str(each.value) for each in cert.extensions.get_extension_for_class(x509.SubjectAlternativeName).value]


def test_what_init_makes_lets_a_client_in_and_show_tells_of_it(here, make_service):
    folder = here.base / "pki"
    made = here.cli("cert", "init", str(folder), "--client", "alice", "--host", "jobs.example.org", "--json").json
    server, [alice] = made["server"], made["clients"]
    lines = [f'addr = "127.0.0.1:{(port := ports.free())}"', f'tls_cert = "{server["cert"]}"']
    lines += [f'tls_key = "{server["key"]}"', f'tls_ca_cert = "{server["ca_cert"]}"']
    service = make_service("\n".join(["[service]", *lines]))
    flags = ["--addr", f"127.0.0.1:{port}", "--tls-ca-cert", alice["ca_cert"]]
    flags += ["--tls-cert", alice["cert"], "--tls-key", alice["key"]]
    assert service.cli("run", *flags, "--", "echo", "in").stdout == b"in\n"
    assert names(folder / "client-alice.crt") == ["tsched://client/alice"]
    [shown] = here.cli("cert", "show", alice["cert"], "--json").json
    assert (shown["names"], shown["for"], shown["valid_now"]) == (["uri:tsched://client/alice"], ["clients"], True)
    assert "dns:jobs.example.org" in here.cli("cert", "show", server["cert"]).text


def test_keys_are_this_users_own_and_nothing_is_written_over(here):
    folder = here.base / "pki"
    said = here.cli("cert", "init", str(folder), "--client", "a").text
    for word in ("tsched up -d --addr", "TSCHED_ADDR=", "TSCHED_TLS_KEY="):
        assert word in said
    before = {path: path.read_bytes() for path in folder.iterdir()}
    assert len(before) == 6
    assert {stat.S_IMODE(path.stat().st_mode) for path in before if path.suffix == ".key"} == {0o600}
    for words in (["--client", "a"], ["--client", "b", "--host", "example.org"]):
        done = here.cli("cert", "init", str(folder), *words, check=False)
        assert (done.code, b"is there already" in done.stderr) == (EXIT_CONFLICT, True), done
    assert {path: path.read_bytes() for path in folder.iterdir()} == before
    made = here.cli("cert", "init", str(folder), "--client", "b", "--json").json["made"]
    assert [os.path.basename(path) for path in made] == ["client-b.crt", "client-b.key"]
    ends = [x509.load_pem_x509_certificate((folder / name).read_bytes()) for name in ("ca.crt", "client-b.crt")]
    assert ends[1].not_valid_after_utc <= ends[0].not_valid_after_utc
    assert ends[1].issuer == ends[0].subject


@pytest.mark.parametrize(
    "words",
    [
        ["init", "pki", "--client", "../x"],
        ["init", "pki", "--client", "a b"],
        ["init", "pki", "--host", "example.org:1"],
        ["init", "pki", "--host", "ex ample"],
        ["init", "pki", "--days", "0"],
        ["init", "/proc/nowhere"],
        ["show"],
        ["show", "missing"],
        ["show", "/dev/null"],
        ["show", "missing", "--host", "x"],
        ["make"],
    ],
)
def test_what_cannot_be_made_or_shown_is_refused_and_leaves_nothing(here, words):
    done = here.cli("cert", *words, check=False)
    assert done.code == EXIT_USAGE, done
    assert done.stderr.count(b"\n") == 1, done
    assert not (here.base / "pki").exists()


def test_half_an_authority_signs_nothing(here):
    folder = here.base / "pki"
    here.cli("cert", "init", str(folder))
    (folder / "ca.key").unlink()
    assert here.cli("cert", "init", str(folder), "--client", "b", check=False).code == EXIT_CONFLICT
    assert not (folder / "ca.key").exists()
    other = here.base / "other"
    here.cli("cert", "init", str(other))
    (folder / "ca.key").write_bytes((other / "ca.key").read_bytes())
    done = here.cli("cert", "init", str(folder), "--client", "b", check=False)
    assert (done.code, b"does not belong" in done.stderr) == (EXIT_USAGE, True), done
