"""The catalogue over real code: what counts when code changes, fails, goes, and after a restart."""

import asyncio
import json
import stat
import sys

import pytest

from support.keeper import catalogue
from tsched.proto import anys, call_pb2
from tsched.proto.errors import Refusal, RefusalReason
from tsched.supervisor import remembered
from tsched.supervisor.held import FAILED, LOADED, UNLOADED


def code(*names, extra=""):
    return "from tsched import task\n" + extra + "".join(f"@task\ndef {name}(a: int): return a\n" for name in names)


@pytest.fixture
def library(tmp_path):
    folder = tmp_path / "plugins"
    folder.mkdir()
    return folder


def over(base, library=None, text="", time_s=30.0):
    """Runs what a test does with a catalogue that has looked at everything once."""

    def run(act):
        async def live():
            known = catalogue(base, library=library, text=text, time_s=time_s)
            known.start()
            await known.settle()
            try:
                return await act(known)
            finally:
                await known.close()

        return asyncio.run(live())

    return run


def states(known):
    return {held.origin.name: held.state for held in known.held() if held.origin.name != "builtin"}


def generation(known, name):
    return next(held.generation for held in known.held() if held.origin.name == name)


def message(known, name):
    return next(held.message for held in known.held() if held.origin.name == name)


async def refused(work, reason):
    with pytest.raises(Refusal) as caught:
        await work
    assert caught.value.reason == reason
    assert "\n" not in caught.value.message
    return caught.value.message


def test_what_is_found_can_be_called_and_its_arguments_are_checked(tmp_path, library):
    (library / "foo.py").write_text(code("add"))

    async def act(known):
        entry = known.find("foo::add")
        assert (entry.source, entry.is_async, entry.native) == ("foo", False, False)
        assert known.source(entry).path == str(library / "foo.py")
        assert known.source(entry).generation == entry.generation
        assert {each.name for each in known.sources().sources} == {"builtin", "foo"}
        entry.check(call_pb2.Call(args=[{"value": anys.to_any(1)}]))
        with pytest.raises(Refusal, match="foo::add takes a: int, not a string"):
            entry.check(call_pb2.Call(args=[{"value": anys.to_any("x")}]))
        assert known.find("add").source == "builtin"
        with pytest.raises(Refusal) as caught:
            known.find("foo::ad")
        assert (caught.value.reason, caught.value.hint) == (RefusalReason.NO_SUCH_FUNCTION, "did you mean foo::add?")
        assert known.get("foo::ad") is None

    over(tmp_path, library)(act)


def test_one_that_cannot_be_loaded_hurts_nobody_else(tmp_path, library):
    (library / "good.py").write_text(code("add"))
    (library / "bad.py").write_text("import nothing_of_this_name\n")
    (library / "open.py").write_text(code("add"))
    (library / "open.py").chmod(0o666)
    (library / "stuck.py").write_text("while True: pass\n")

    async def act(known):
        assert states(known) == {"good": LOADED, "bad": FAILED, "open": FAILED, "stuck": FAILED}
        assert "nothing_of_this_name" in message(known, "bad")
        assert "chmod go-w" in message(known, "open")
        assert "did not end within 2 s" in message(known, "stuck")
        assert known.get("open::add") is None
        with pytest.raises(Refusal, match=r"bad could not be loaded: .*nothing_of_this_name"):
            known.find("bad::add")

    over(tmp_path, library, time_s=2.0)(act)


def test_a_reload_counts_from_then_on_and_one_that_fails_leaves_what_was(tmp_path, library):
    (library / "foo.py").write_text(code("one"))
    changes = []

    async def act(known):
        known.on_change(lambda: changes.append(known.sources()))
        first = generation(known, "foo")
        (library / "foo.py").write_text(code("two"))
        await known.reload("foo")
        assert (known.get("foo::one"), known.find("foo::two").generation) == (None, generation(known, "foo"))
        assert (second := generation(known, "foo")) > first
        assert [each.generation for each in changes[-1].sources if each.name == "foo"] == [second]
        (library / "foo.py").write_text("def (\n")
        said = await refused(known.reload("foo"), RefusalReason.PLUGIN_FAILED)
        assert "stays as it was" in said
        assert "SyntaxError" in said
        await known.reload_all()
        assert (states(known), generation(known, "foo")) == ({"foo": LOADED}, second)
        assert "newest code could not be loaded" in message(known, "foo")
        assert known.find("foo::two")
        (library / "foo.py").write_text(code("three"))
        await known.reload("foo")
        assert (message(known, "foo"), generation(known, "foo") > second) == ("", True)
        (library / "foo.py").chmod(0o666)
        await refused(known.reload("foo"), RefusalReason.PLUGIN_FAILED)
        assert known.get("foo::three") is None

    over(tmp_path, library)(act)


@pytest.mark.parametrize("name", ["shop.orders.ship", "s::ship"])
def test_why_a_function_of_a_module_is_not_there_is_told_by_each_of_its_names(tmp_path, name):
    text = f'[[functions]]\nname = "s"\nmodules = ["shop.orders"]\npath = "{tmp_path}"\n'

    async def act(known):
        with pytest.raises(Refusal, match=r"s could not be loaded: .*ModuleNotFoundError"):
            known.find(name)

    over(tmp_path, text=text)(act)


def test_load_unload_and_their_wrong_uses(tmp_path, library):
    (library / "foo.py").write_text(code("add"))

    async def act(known):
        await refused(known.load("foo"), RefusalReason.WRONG_STATE)
        await known.unload("foo")
        assert (states(known), known.get("foo::add")) == ({"foo": UNLOADED}, None)
        assert "foo" not in {each.name for each in known.sources().sources}
        with pytest.raises(Refusal, match="foo is unloaded"):
            known.find("foo::add")
        await refused(known.unload("foo"), RefusalReason.WRONG_STATE)
        await refused(known.reload("foo"), RefusalReason.WRONG_STATE)
        await known.reload_all()
        assert states(known) == {"foo": UNLOADED}
        await known.load("foo")
        assert known.find("foo::add")
        for verb in (known.load, known.unload, known.reload):
            assert "fooo" in await refused(verb("fooo"), RefusalReason.NO_SUCH_PLUGIN)
        await refused(known.unload("builtin"), RefusalReason.WRONG_STATE)
        (library / "new.py").write_text(code("add"))
        await known.load("new")
        (library / "foo.py").unlink()
        await known.reload_all()
        assert states(known) == {"new": LOADED}

    over(tmp_path, library)(act)


def test_over_a_restart_functions_are_known_at_once_and_generations_only_grow(tmp_path, library):
    (library / "foo.py").write_text(code("add"))
    (library / "bar.py").write_text(code("add"))

    async def first(known):
        await known.unload("bar")
        return generation(known, "foo")

    before = over(tmp_path, library)(first)
    assert stat.S_IMODE((tmp_path / remembered.NAME).stat().st_mode) == 0o600

    async def at_once():
        known = catalogue(tmp_path, library=library)
        return known.find("foo::add").generation, known.get("bar::add")

    assert asyncio.run(at_once()) == (before, None)
    (library / "foo.py").write_text("import nothing_of_this_name\n")

    async def second(known):
        assert states(known) == {"foo": LOADED, "bar": UNLOADED}
        assert "newest code could not be loaded" in message(known, "foo")
        assert known.find("foo::add").generation == before
        (library / "foo.py").write_text(code("add"))
        await known.reload("foo")
        return generation(known, "foo")

    assert over(tmp_path, library)(second) > before


def test_what_was_kept_is_lost_or_damaged_and_generations_grow_all_the_same(tmp_path, library):
    (library / "foo.py").write_text(code("add"))

    async def act(known):
        return generation(known, "foo")

    before = over(tmp_path, library)(act)
    for damage in (
        "",
        "{",
        "[]",
        '{"version": 1}',
        '{"version": 1, "sources": [{}], "unloaded": [], "last_generation": 5}',
    ):
        (tmp_path / remembered.NAME).write_text(damage)
        after = over(tmp_path, library)(act)
        assert after > before, damage
        before = after


def test_no_secret_and_no_code_is_kept(tmp_path, library):
    (library / "foo.py").write_text(code("add", extra="password = 'hush'\n"))

    async def act(known):
        assert known.find("foo::add")

    over(tmp_path, library)(act)
    kept = json.loads((tmp_path / remembered.NAME).read_text())
    assert "hush" not in json.dumps(kept)
    assert not (tmp_path / f"{remembered.NAME}.new").exists()


def test_configured_modules_are_called_by_their_full_name_and_by_that_of_the_source(tmp_path):
    (tmp_path / "shop").mkdir()
    (tmp_path / "shop" / "orders.py").write_text(code("ship", extra="@task(name='stock')\ndef _stock(): ...\n"))
    text = f'[[functions]]\nname = "s"\nmodules = ["orders"]\npath = "{tmp_path}/shop"\n'

    async def act(known):
        assert known.find("orders.ship") is known.find("s::ship")
        assert known.find("stock")

    over(tmp_path, text=text)(act)


def test_of_two_functions_of_one_name_the_first_counts_and_the_other_source_says_so(tmp_path):
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        (tmp_path / name / f"m_{name}.py").write_text(
            f"from tsched import task\n@task(name='same')\ndef f(): ...\n@task(name='add')\ndef {name}(): ...\n"
        )
    text = "".join(
        f'[[functions]]\nname = "{name}"\nmodules = ["m_{name}"]\npath = "{tmp_path}/{name}"\n'
        for name in ("one", "two")
    )

    async def act(known):
        assert known.find("same").source == "one"
        assert known.find("add").source == "builtin"
        assert message(known, "one") == "add is of builtin already"
        assert set(message(known, "two").split("; ")) == {"add is of builtin already", "same is of one already"}

    over(tmp_path, text=text)(act)


def test_an_interpreter_that_is_none_fails_its_own_source_only(tmp_path):
    (tmp_path / "python").write_text("#!/bin/sh\necho 'this is no python' >&2\nexit 1\n")
    (tmp_path / "python").chmod(0o755)
    table = '[[functions]]\nname = "{}"\nmodules = ["json"]\npython = "{}"\n'
    text = table.format("gone", "/nonexistent/python") + table.format("none", tmp_path / "python")
    text += f'[[functions]]\nname = "good"\nmodules = ["good"]\npath = "{tmp_path}/good"\npython = "{sys.executable}"\n'
    (tmp_path / "good").mkdir()
    (tmp_path / "good" / "good.py").write_text(code("add"))

    async def act(known):
        assert states(known) == {"gone": FAILED, "none": FAILED, "good": LOADED}
        assert "/nonexistent" in message(known, "gone")
        assert message(known, "none") == "this is no python"
        assert known.find("good.add")

    over(tmp_path, text=text)(act)


def test_who_leaves_while_it_is_looked_at_changes_nothing_and_closing_ends_it(tmp_path, library):
    (library / "foo.py").write_text(code("add", extra="import time; time.sleep(0.3)\n"))

    async def act(known):
        asked = asyncio.ensure_future(known.reload("foo"))
        await asyncio.sleep(0.1)
        before = generation(known, "foo")
        asked.cancel()
        await known.reload("foo")
        assert generation(known, "foo") == before + 2
        (library / "foo.py").write_text("while True: pass\n")
        asked = asyncio.ensure_future(known.reload("foo"))
        await asyncio.sleep(0.1)
        await known.close()
        await refused(asked, RefusalReason.DRAINING)
        await refused(known.reload_all(), RefusalReason.DRAINING)

    over(tmp_path, library)(act)
