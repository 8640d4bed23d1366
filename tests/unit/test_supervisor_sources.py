"""What is found in the library folder, and what is not loaded because others could change it."""

import grp
import os
import pwd
import sys
from importlib.machinery import EXTENSION_SUFFIXES
from pathlib import Path

import pytest

from tsched.proto.values import SourceKind
from tsched.supervisor import config, sources, trust


def library(tmp_path):
    folder = tmp_path / "plugins"
    folder.mkdir()
    return folder


def plugins(folder):
    return [each for each in sources.discover(config.load(None), folder) if each.origin.name != sources.BUILTIN]


def unsafe(folder, name="foo"):
    [found] = [each for each in plugins(folder) if each.origin.name == name]
    assert found.unsafe
    return found.wrong


def test_modules_packages_extension_modules_and_native_libraries_are_told_apart(tmp_path):
    folder = library(tmp_path)
    (folder / "module.py").write_text("")
    (folder / "package").mkdir()
    (folder / "package" / "__init__.py").write_text("")
    (folder / f"fast{EXTENSION_SUFFIXES[0]}").write_bytes(b"")
    (folder / "older.cpython-39-x86_64-linux-gnu.so").write_bytes(b"")
    (folder / "small.so").write_bytes(b"\0PyInit_small\0")
    (folder / "libmath.so").write_bytes(b"\0init_plugin\0")
    (folder / "other.so").write_bytes(b"\0PyInit_another\0")
    for none in ("notes.txt", "_private.py", ".hidden.py", "lib.so", "libmath.so.1"):
        (folder / none).write_text("")
    (folder / "empty").mkdir()
    (folder / "__pycache__").mkdir()
    found = {each.origin.name: each.origin.kind for each in plugins(folder)}
    assert found == {
        "module": SourceKind.PYTHON,
        "package": SourceKind.PYTHON,
        "fast": SourceKind.PYTHON,
        "small": SourceKind.PYTHON,
        "math": SourceKind.NATIVE,
        "other": SourceKind.NATIVE,
        "older": SourceKind.PYTHON,
    }


def test_a_plugin_of_a_name_that_no_module_can_have_is_told_and_not_passed_over(tmp_path):
    folder = library(tmp_path)
    for name in ("two words.py", "my-plugin.py", "2nd.py", "libdash-ed.so"):
        (folder / name).write_text("")
    found = plugins(folder)
    assert [each.origin.name for each in found] == ["2nd", "dash-ed", "my-plugin", "two words"]
    assert all("rename it" in each.wrong for each in found)


def test_of_two_with_the_same_name_the_first_one_counts_and_the_other_says_so(tmp_path):
    folder = library(tmp_path)
    (folder / "foo.py").write_text("")
    (folder / "libfoo.so").write_bytes(b"")
    (folder / "builtin.py").write_text("")
    found = [(each.origin.path, each.wrong) for each in sources.discover(config.load(None), folder)]
    assert found == [
        ("", ""),
        (f"{folder}/builtin.py", "another source has this name: builtin"),
        (f"{folder}/foo.py", ""),
        (f"{folder}/libfoo.so", f"another source has this name: {folder}/foo.py"),
    ]


def test_what_others_may_write_is_unsafe_with_the_word_that_mends_it(tmp_path, monkeypatch):
    monkeypatch.setattr(trust, "is_private", lambda _gid: False)
    folder = library(tmp_path)
    (folder / "foo.py").write_text("")
    for path, mode in ((folder / "foo.py", 0o664), (folder / "foo.py", 0o646), (folder, 0o775), (tmp_path, 0o777)):
        before = path.stat().st_mode & 0o7777
        path.chmod(mode)
        assert unsafe(folder) == f"{path} can be written by others: chmod go-w {path}"
        path.chmod(before)
        assert not plugins(folder)[0].wrong


def user(name="ann", uid=7001, gid=7001):
    return pwd.struct_passwd((name, "x", uid, gid, "", "/", "/bin/sh"))


def group(name="ann", gid=7001, members=()):
    return grp.struct_group((name, "x", gid, list(members)))


def known(monkeypatch, users, groups, uid=7001):
    """These users and groups are all there are, and this user is us."""
    monkeypatch.setattr(trust.os, "geteuid", lambda: uid)
    monkeypatch.setattr(trust.pwd, "getpwuid", {each.pw_uid: each for each in users}.__getitem__)
    monkeypatch.setattr(trust.pwd, "getpwall", lambda: users)
    monkeypatch.setattr(trust.grp, "getgrgid", {each.gr_gid: each for each in groups}.__getitem__)


@pytest.mark.parametrize(
    ("users", "groups", "private"),
    [
        ([user()], [group()], True),
        ([user()], [group(members=["ann"])], True),
        ([user(), user("bob", 7002, 7002)], [group(), group("bob", 7002)], True),
        ([user()], [group(members=["bob"])], False),
        ([user(), user("bob", 7002)], [group()], False),
        ([user(gid=100)], [group(), group("users", 100)], False),
        ([user()], [group("staff")], False),
        ([user()], [], False),
        ([user("bob", 7002)], [group()], False),
    ],
)
def test_a_private_group_is_a_users_own_with_nobody_else_in_it(monkeypatch, users, groups, private):
    known(monkeypatch, users, groups)
    assert trust.is_private(7001) is private


def test_roots_group_is_nobodys_private_one(monkeypatch):
    known(monkeypatch, [user("root", 0, 0)], [group("root", 0)], uid=0)
    assert not trust.is_private(0)


def test_what_only_ones_private_group_may_write_is_safe(tmp_path, monkeypatch):
    folder = library(tmp_path)
    (folder / "foo.py").write_text("")
    mine = folder.stat().st_gid
    monkeypatch.setattr(trust, "is_private", lambda gid: gid == mine)
    for path in (folder / "foo.py", folder, tmp_path):
        path.chmod(0o775)
    assert not plugins(folder)[0].wrong
    (folder / "foo.py").chmod(0o666)
    assert "can be written by others" in unsafe(folder)


def test_an_access_list_makes_even_a_private_group_unsafe(tmp_path, monkeypatch):
    folder = library(tmp_path)
    (folder / "foo.py").write_text("")
    (folder / "foo.py").chmod(0o664)
    monkeypatch.setattr(trust, "is_private", lambda _gid: True)
    monkeypatch.setattr(trust.os, "getxattr", lambda *_: b"bob may write")
    assert "can be written by others" in unsafe(folder)


def test_everything_in_a_package_counts(tmp_path):
    folder = library(tmp_path)
    (folder / "foo" / "deep").mkdir(parents=True)
    for name in ("__init__.py", "deep/data.bin"):
        (folder / "foo" / name).write_text("")
    assert not plugins(folder)[0].wrong
    (folder / "foo" / "deep" / "data.bin").chmod(0o622)
    assert unsafe(folder) == f"{folder}/foo/deep/data.bin can be written by others: chmod -R go-w {folder}/foo"


def test_what_links_in_a_package_lead_to_counts_and_circles_of_them_end(tmp_path):
    folder, elsewhere = library(tmp_path), tmp_path / "elsewhere"
    (folder / "foo").mkdir()
    (folder / "foo" / "__init__.py").write_text("")
    (elsewhere / "deep").mkdir(parents=True)
    (elsewhere / "deep" / "code.py").write_text("")
    (elsewhere / "deep" / "back").symlink_to(elsewhere)
    (folder / "foo" / "more").symlink_to(elsewhere)
    assert not plugins(folder)[0].wrong
    (elsewhere / "deep" / "code.py").chmod(0o666)
    assert unsafe(folder).startswith(f"{elsewhere}/deep/code.py can be written")


def test_compiled_code_that_others_could_change_counts_as_the_code(tmp_path):
    folder = library(tmp_path)
    (folder / "foo.py").write_text("")
    (folder / "__pycache__").mkdir()
    (folder / "__pycache__" / "foo.cpython-311.pyc").write_bytes(b"")
    assert not plugins(folder)[0].wrong
    (folder / "__pycache__").chmod(0o777)
    assert unsafe(folder).startswith(f"{folder}/__pycache__ can be written")


def test_in_a_folder_like_tmp_nobody_can_replace_what_is_ours_but_anybody_could_add(tmp_path):
    folder = library(tmp_path)
    (folder / "foo.py").write_text("")
    tmp_path.chmod(0o1777)
    assert not plugins(folder)[0].wrong
    folder.chmod(0o1777)
    assert "can be written by others" in unsafe(folder)


def test_links_are_as_safe_as_where_they_lead(tmp_path):
    folder = library(tmp_path)
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "code.py").write_text("")
    (folder / "foo.py").symlink_to("../elsewhere/code.py")
    assert not plugins(folder)[0].wrong
    elsewhere.chmod(0o777)
    assert unsafe(folder).startswith(f"{elsewhere} can be written")
    elsewhere.chmod(0o755)
    (elsewhere / "code.py").chmod(0o666)
    assert unsafe(folder).startswith(f"{elsewhere}/code.py can be written")


def test_links_in_circles_and_into_nothing_are_told_and_not_followed_for_ever(tmp_path):
    folder = library(tmp_path)
    (folder / "foo.py").symlink_to("bar.py")
    (folder / "bar.py").symlink_to("foo.py")
    (folder / "gone.py").symlink_to("/nonexistent/gone.py")
    found = {each.origin.name: each.wrong for each in plugins(folder)}
    assert "Too many levels of symbolic links" in found["foo"]
    assert "No such file" in found["gone"]


@pytest.mark.skipif(os.geteuid() != 0, reason="only root gives files away")
def test_what_belongs_to_somebody_else_is_unsafe(tmp_path):
    folder = library(tmp_path)
    (folder / "foo.py").write_text("")
    for path in (folder / "foo.py", folder, tmp_path):
        os.chown(path, 12345, -1)
        assert unsafe(folder).startswith(f"{path} belongs to user 12345")
        os.chown(path, 0, -1)
    (folder / "foo.py").unlink()
    (folder / "foo.py").symlink_to(__file__)
    os.lchown(folder / "foo.py", 12345, -1)
    assert unsafe(folder).startswith(f"{folder}/foo.py belongs to user 12345")


def test_a_configured_source_is_looked_at_where_its_modules_lie(tmp_path):
    (tmp_path / "shop").mkdir()
    (tmp_path / "shop" / "tasks.py").write_text("")
    (tmp_path / "c.toml").write_text(
        f'[[functions]]\nname = "shop"\nmodules = ["tasks.a", "json"]\npath = "{tmp_path}/shop"\n'
    )

    def shop():
        return next(
            each for each in sources.discover(config.load(tmp_path / "c.toml"), None) if each.origin.name == "shop"
        )

    assert (shop().wrong, shop().origin.python, shop().origin.modules) == ("", sys.executable, ("tasks.a", "json"))
    (tmp_path / "shop" / "tasks.py").chmod(0o666)
    assert shop().unsafe
    (tmp_path / "shop" / "tasks.py").chmod(0o644)
    (tmp_path / "shop" / "beside.py").write_text("")
    (tmp_path / "shop" / "beside.py").chmod(0o666)
    assert shop().unsafe
    (tmp_path / "shop" / "beside.py").unlink()
    (tmp_path / "shop" / "notes.txt").write_text("")
    (tmp_path / "shop" / "notes.txt").chmod(0o666)
    assert not shop().wrong
    (tmp_path / "shop").chmod(0o777)
    assert shop().unsafe


def test_a_file_system_that_ends_under_our_feet_is_told(tmp_path):
    with pytest.raises(OSError, match="No such file"):
        trust.check_tree(tmp_path / "gone")
    assert "No such file" in sources.library_trouble(tmp_path / "gone")
    assert plugins(tmp_path / "gone") == []


def test_the_folder_of_plugins_is_the_one_asked_for_then_the_configured_then_the_users_own(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    (tmp_path / "c.toml").write_text('[library]\nfolder = "/opt/plugins"\n')
    shipped, own = config.load(None), config.load(tmp_path / "c.toml")
    assert sources.library_of(shipped, tmp_path, None) is None
    (tmp_path / "tsched" / "plugins").mkdir(parents=True)
    assert sources.library_of(shipped, tmp_path, None) == tmp_path / "tsched" / "plugins"
    assert sources.library_of(own, tmp_path, None) == Path("/opt/plugins")
    assert sources.library_of(own, tmp_path, Path("/asked")) == Path("/asked")
    monkeypatch.setenv("XDG_DATA_HOME", f"/{'x' * 300}")  # as good as a folder that is kept from us
    kept = sources.library_of(shipped, tmp_path, None)
    assert "File name too long" in sources.library_trouble(kept)
    assert sources.default_library(Path("/var/lib/tsched")) == Path("/var/lib/tsched/plugins")


def test_entry_points_are_a_source_for_each_distribution_and_one_that_cannot_be_read_is_told(tmp_path, monkeypatch):
    for name, text in (
        ("shop", "[tsched.tasks]\norders = shop.orders\nmore = shop.more:task\n"),
        ("none", "[other]\na = b\n"),
    ):
        folder = tmp_path / f"{name}-1.0.dist-info"
        folder.mkdir()
        (folder / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
        (folder / "entry_points.txt").write_text(text)
    monkeypatch.syspath_prepend(tmp_path)

    def found():
        return [
            each for each in sources.discover(config.load(None), None) if each.origin.kind == SourceKind.ENTRY_POINTS
        ]

    [shop] = found()
    assert (shop.origin.name, shop.wrong, shop.origin.python) == ("shop", "", sys.executable)
    assert shop.origin.modules == ("more = shop.more:task", "orders = shop.orders")
    (tmp_path / "none-1.0.dist-info" / "entry_points.txt").write_bytes(b"\xff\xfe")
    [broken] = found()
    assert "cannot be read" in broken.wrong
    (tmp_path / "c.toml").write_text("[library]\nentry_points = false\n")
    assert [each.origin.name for each in sources.discover(config.load(tmp_path / "c.toml"), None)] == ["builtin"]
