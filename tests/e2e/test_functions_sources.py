"""Functions of plugins and of a user's own interpreters, with a real service: what runs is what was loaded last."""

import subprocess
import sys
import time

import pytest

from support import procs
from support.wait import until

HEAD = "from tsched import task\n"


def library(service):
    """The folder of plugins of a service that has looked at everything once."""
    service.cli("plugins")
    folder = service.home / ".local" / "share" / "tsched" / "plugins"
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def sources(service):
    return {each["name"]: each for each in service.json("plugins", "list")}


def call(service, *args):
    return service.cli("call", *args).json


def test_plugins_are_loaded_unloaded_and_reloaded_while_the_service_runs(service):
    foo = library(service) / "foo.py"
    foo.write_text(f"{HEAD}@task\ndef what(a: int = 1): return ['old', a]\n")
    assert service.cli("call", "foo::what", check=False).code == 1
    assert service.cli("plugins", "load", "foo").word == "foo is loaded: 1 function"
    assert call(service, "foo::what", "2") == ["old", 2]
    foo.write_text(f"{HEAD}@task\ndef what(): return 'new'\n")
    assert call(service, "foo::what") == ["old", 1]
    service.cli("plugins", "reload", "foo")
    assert call(service, "foo::what") == "new"
    refused = service.cli("call", "foo::what", "2", "--json", check=False)
    assert (refused.code, refused.json["error"]["reason"]) == (2, "bad_arguments")
    foo.write_text("import nothing_of_this_name\n")
    refused = service.cli("plugins", "reload", "foo", "--json", check=False)
    assert (refused.code, refused.json["error"]["reason"]) == (1, "plugin_failed")
    assert sources(service)["foo"]["state"] == "loaded"
    service.cli("plugins", "unload", "foo")
    refused = service.cli("call", "foo::what", "--json", check=False)
    assert refused.json["error"]["reason"] == "no_such_function"
    assert "unloaded" in refused.json["error"]["message"]


def test_a_call_that_runs_ends_on_the_code_it_began_with(service, tmp_path):
    foo = library(service) / "foo.py"
    text = (
        "import os, time\n"
        + HEAD
        + (
            "WHICH = {which!r}\n"
            "@task\ndef what(path: str):\n"
            "    open(path + '.began', 'w').close()\n"
            "    while not os.path.exists(path): time.sleep(0.02)\n"
            "    return WHICH\n"
        )
    )
    foo.write_text(text.format(which="old"))
    service.cli("plugins", "load", "foo")
    first = service.cli("call", "-d", "foo::what", f'"{tmp_path}/go"').word
    until((tmp_path / "go.began").exists)
    foo.write_text(text.format(which="new"))
    service.cli("plugins", "reload")
    second = service.cli("call", "-d", "foo::what", f'"{tmp_path}/go"').word
    (tmp_path / "go").touch()
    service.cli("wait", first, second)
    assert [service.cli("result", each).json for each in (first, second)] == ["old", "new"]


def test_over_a_restart_what_was_unloaded_stays_so_and_the_rest_is_there(service):
    for name in ("foo", "bar"):
        (library(service) / f"{name}.py").write_text(f"{HEAD}@task\ndef what(): return {name!r}\n")
    service.cli("plugins", "reload")
    service.cli("plugins", "unload", "bar")
    before = sources(service)["foo"]["generation"]
    service.stop()
    service.start()
    assert call(service, "foo::what") == "foo"
    assert sources(service)["bar"]["state"] == "unloaded"
    assert sources(service)["foo"]["generation"] > before
    service.cli("plugins", "load", "bar")
    assert call(service, "bar::what") == "bar"


@pytest.fixture(scope="module")
def venv(tmp_path_factory):
    """A user's own environment: tsched is not installed there, a module of theirs is."""
    folder = tmp_path_factory.mktemp("user") / "venv"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", folder], check=True)
    [site] = folder.glob("lib/python*/site-packages")
    (site / "only_there.py").write_text("ANSWER = 42\n")
    return folder


def test_functions_run_in_the_users_own_interpreter_and_a_wrong_one_hurts_nobody(make_service, venv, tmp_path):
    (tmp_path / "shop.py").write_text(
        f"import sys, only_there\n{HEAD}@task\ndef what(): return [sys.prefix, only_there.ANSWER]\n"
    )
    table = '[[functions]]\nname = "{}"\nmodules = ["shop"]\npath = "{}"\npython = "{}"\n'
    service = make_service(
        table.format("shop", tmp_path, venv / "bin" / "python") + table.format("wrong", tmp_path, "/nonexistent/python")
    )
    assert call(service, "shop.what") == call(service, "shop::what") == [str(venv), 42]
    assert call(service, "add", "1", "2") == 3
    assert (sources(service)["wrong"]["state"], sources(service)["shop"]["state"]) == ("failed", "loaded")
    [found] = [each for each in service.doctor()["findings"] if "wrong" in each["object"]]
    assert (found["severity"], "/nonexistent/python" in found["message"]) == ("notice", True)


def test_a_service_that_begins_anew_heeds_the_tables_of_its_configuration(make_service, tmp_path):
    service = make_service("[executors]\ncount = 1\n")
    (tmp_path / "shop.py").write_text(f"{HEAD}@task(name='what')\ndef what(): return 1\n")
    with (service.base / "config.toml").open("a") as file:
        file.write(f'[[functions]]\nname = "shop"\nmodules = ["shop"]\npath = "{tmp_path}"\n')
    service.cli("up", "--replace")
    assert call(service, "what") == 1
    with (service.base / "config.toml").open("a") as file:
        file.write('[[functions]]\nname = "shop"\nmodules = []\n')
    refused = service.cli("up", "--replace", check=False)
    assert (refused.code, b"functions[2].name is taken" in refused.stderr) == (2, True)
    assert b"functions[2].modules must be" in refused.stderr
    assert call(service, "what") == 1


def test_what_others_may_write_is_not_loaded_and_the_doctor_says_how_to_mend_it(service):
    foo = library(service) / "foo.py"
    foo.write_text(f"open({str(service.base / 'loaded')!r}, 'w').close()\n{HEAD}@task\ndef what(): return 1\n")
    foo.chmod(0o666)
    assert service.cli("plugins", "reload", check=False).code == 1
    assert sources(service)["foo"]["state"] == "failed"
    diagnosis = service.cli("doctor", "--json", check=False)
    [found] = [each for each in diagnosis.json["findings"] if each["severity"] == "problem"]
    assert (diagnosis.code, f"chmod go-w {foo}" in found["message"]) == (1, True)
    assert not (service.base / "loaded").exists()
    foo.chmod(0o644)
    service.cli("plugins", "reload")
    assert call(service, "foo::what") == 1
    foo.parent.chmod(0o777)
    diagnosis = service.cli("doctor", "--json", check=False)
    [found] = [each for each in diagnosis.json["findings"] if each["severity"] == "problem"]
    assert f"was loaded, and by now {foo.parent} can be written by others" in found["message"]
    foo.parent.chmod(0o755)


def test_an_import_without_end_holds_up_neither_calls_nor_a_stop_nor_a_new_beginning(service):
    seen, foo = service.base / "seen", library(service) / "foo.py"
    foo.write_text(f"open({str(seen)!r}, 'a').close()\nwhile True: pass\n")
    service.spawn("plugins", "load", "foo")
    until(seen.exists)
    seen.unlink()
    service.cli("up", "--replace")
    until(seen.exists)
    started = time.monotonic()
    assert call(service, "ping") == "pong"
    service.stop()
    assert time.monotonic() - started < 20
    assert not [each for each in procs.ours() if "begin.py" in str(each)]
    foo.unlink()


def test_what_is_looked_at_when_the_supervisor_is_killed_does_not_outlive_the_next_start(service):
    seen = service.base / "seen"
    foo = library(service) / "foo.py"
    foo.write_text(f"import os\nopen({str(seen)!r}, 'w').write(str(os.getpid()))\nwhile True: pass\n")
    service.spawn("plugins", "load", "foo")
    pid = int(until(lambda: seen.exists() and seen.read_text()))
    service.kill9()
    assert procs.alive(pid)
    foo.unlink()
    service.start()
    until(lambda: not procs.alive(pid))
    assert call(service, "ping") == "pong"


def test_the_folder_of_plugins_may_be_named_and_one_that_is_not_there_is_told(service, tmp_path):
    service.stop()
    service.cli("up", "-d", "--library-dir", str(tmp_path / "mine"))
    try:
        [found] = [each for each in service.doctor()["findings"] if each["object"] == "library folder"]
        assert f"{tmp_path}/mine: No such file or directory" in found["message"]
        (tmp_path / "mine").mkdir()
        (tmp_path / "mine" / "foo.py").write_text(f"{HEAD}@task\ndef what(): return 1\n")
        service.cli("plugins", "load", "foo")
        service.cli("up", "--replace")
        assert call(service, "foo::what") == 1
    finally:
        service.cli("down")


def test_names_of_functions_and_plugins_that_are_none_are_refused_in_one_line(service):
    for words, code, said in (
        (["functions", "ad"], 1, "did you mean add?"),
        (["plugins", "load", "foo"], 1, "no plugin is named 'foo'"),
        (["plugins", "load"], 2, "which plugin?"),
        (["plugins", "list", "foo"], 2, "takes no name"),
        (["plugins", "unload", "builtin"], 1, "no plugin of the library folder"),
    ):
        done = service.cli(*words, check=False)
        assert (done.code, done.stderr.count(b"\n")) == (code, 1), done
        assert said in done.stderr.decode()
    assert "sleep" in service.cli("functions").text
    assert service.json("functions", "add")["signature"] == "(a: float, b: float) -> float"
