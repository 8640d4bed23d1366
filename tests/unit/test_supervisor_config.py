"""config.toml: every mistake is named with its line, and a file changes only what it says."""

import os

import pytest

from tsched.proto.errors import Refusal, RefusalReason
from tsched.supervisor import config


def refused(tmp_path, text):
    path = tmp_path / "config.toml"
    path.write_text(text)
    with pytest.raises(Refusal) as caught:
        config.load(path)
    assert caught.value.reason == RefusalReason.BAD_CONFIG
    assert "\n" not in caught.value.message
    assert str(path) in caught.value.message
    return caught.value.message


def test_the_shipped_file_is_complete_and_free_of_mistakes(tmp_path):
    path = tmp_path / "config.toml"
    path.write_text(config.SHIPPED.read_text())
    assert config.load(path) == config.load(None)


def test_a_file_changes_single_keys_and_leaves_the_others(tmp_path):
    path = tmp_path / "config.toml"
    path.write_text("[tasks]\ngrace_s = 1.5\n\n[profiles.quiet]\nnice = 10\n")
    loaded = config.load(path)
    assert loaded.tasks_grace_s == 1.5
    assert loaded.tasks_shell == config.load(None).tasks_shell
    assert loaded.profiles["quiet"].nice == 10
    assert loaded.profiles["default"].nice == 0


def test_broken_toml_is_refused_with_its_line(tmp_path):
    assert "line 2" in refused(tmp_path, "[service]\nlog_level = \n")


def test_all_mistakes_are_named_at_once_each_with_its_line(tmp_path):
    message = refused(
        tmp_path, '[service]\nlog_level = "loud"\n\n[executors]\ncount = -1\nspeed = 3\n\n[kitchen]\nsink = true\n'
    )
    assert "line 2: service.log_level must be one of debug, info, warning, error" in message
    assert "line 5: executors.count must be a whole number from 0 to 64" in message
    assert "line 6: executors.speed is unknown" in message
    assert "line 8: kitchen is unknown" in message


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("service = 3\n", "service must be a table"),
        ('[access]\ntcp_role = "root"\n', "access.tcp_role must be one of none, viewer, submitter, admin"),
        ('[access]\nclients = { "ci" = "admin" }\n', "names no client: ci; they are tsched://client/NAME"),
        ('[access]\nclients = { "tsched://client/ci" = "boss" }\n', "has no role for tsched://client/ci"),
        ('[access.clients]\n"tsched://client/ci" = 1\n', "has no role for tsched://client/ci"),
        ("[access]\nclients = []\n", "access.clients must be a table"),
        ('[access]\nadmins = ["%"]\n', "access.admins must be a list of users and groups"),
        ("[limits]\nsubmits_burst = 0\n", "limits.submits_burst must be a whole number from 1"),
        ("[store]\nkeep_audit = 999\n", "store.keep_audit must be a whole number from 1000"),
        ("[tasks]\ngrace_s = nan\n", "tasks.grace_s must be a number"),
        ("[tasks]\ngrace_s = true\n", "tasks.grace_s must be a number"),
        ('[tasks]\nshell = "sh"\n', "tasks.shell must be an absolute path"),
        ("[tasks]\nenvironment = [1]\n", "tasks.environment must be a list of variable names"),
        ("[profiles.default]\nlimits = { open_fish = 3 }\n", "has no limit named open_fish"),
        ("[profiles.default]\nlimits = { open_files = -3 }\n", "has a bad open_files"),
        ("[profiles.default]\nlimits = { data_bytes = 1000 }\n", "67108864 or more"),
        ('[profiles."a b"]\nnice = 1\n', "is no name for a profile"),
        ("[profiles.default]\ncpu_affinity = [-1]\n", "must be a list of processor numbers"),
    ],
)
def test_a_wrong_value_is_refused_by_name(tmp_path, text, expected):
    assert expected in refused(tmp_path, text)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("[tasks]\ngrace_s = -1\n", "must be a number from 0 to 86400"),
        ("[tasks]\ngrace_s = inf\n", "must be a number"),
        ("[tasks]\ngrace_s = -nan\n", "must be a number"),
        (f"[tasks]\ngrace_s = 1{'0' * 400}\n", "must be a number"),
        (f"[executors]\ncount = 1{'0' * 5000}\n", "digits"),
        ("[executors]\ncount = 1.5\n", "must be a whole number"),
        ('[executors]\ncount = "2"\n', "must be a whole number"),
        ("[tasks]\ngrace_s = 1979-05-27\n", "must be a number"),
        ("[tasks]\ngrace_s = []\n", "must be a number"),
        ('[tasks]\nenvironment = ["A\\u0000"]\n', "must be a list of variable names"),
        ("[profiles.default]\nlimits = { cpu_s = 9223372036854775808 }\n", "has a bad cpu_s"),
        ("[profiles.default]\nlimits = { cpu_s = 1.0 }\n", "has a bad cpu_s"),
        ("[profiles.default]\ncpu_affinity = [99999999999999999999]\n", "must be a list of processor numbers"),
        ("profiles = 3\n", "profiles must be a table"),
        ("[profiles]\nfast = 3\n", "profiles.fast must be a table"),
        ('[logs]\nfolder = "logs"\n', "logs.folder must be an absolute path, or empty"),
        ("[logs]\nkeep_days = 0\n", "logs.keep_days must be a whole number from 1"),
        ('"new\\nline" = 1\n', '"new\\nline" is unknown'),
        ('"" = 1\n', 'line 1: "" is unknown'),
        ("[[functions]]\n", "line 1: functions[1] has no name; line 1: functions[1] has no modules"),
        ("[tasks]\ngrace_s = 1\ngrace_s = 2\n", "line 3"),
        ("[tasks]\n[tasks]\n", "line 2"),
        ("a = " + "[" * 5000, "nested too deeply"),
        ("= 3\n", "line 1"),
    ],
)
def test_values_out_of_range_and_texts_that_are_no_toml_are_refused(tmp_path, text, expected):
    assert expected in refused(tmp_path, text)


def test_a_file_of_nothing_but_mistakes_is_looked_through_once(tmp_path):
    """Once for each mistake would take hours."""
    for line in ("k{} = 1", "[k{}]"):
        message = refused(tmp_path, "\n".join(line.format(number) for number in range(20_000)))
        assert "line 20000: k19999 is unknown" in message


def test_lines_are_counted_as_editors_do(tmp_path):
    assert "line 2: tasks.a is unknown" in refused(tmp_path, "[tasks] # \u2028 \x85\na = 1\n")


def test_a_mark_of_the_encoding_before_a_file_is_none_of_its_text(tmp_path):
    (tmp_path / "c.toml").write_text("[tasks]\ngrace_s = 1.5\n", encoding="utf-8-sig")
    assert config.load(tmp_path / "c.toml").tasks_grace_s == 1.5


def test_files_that_are_none_are_refused_by_name(tmp_path):
    (tmp_path / "large.toml").write_bytes(b"# much\n" * 1_500_000)
    (tmp_path / "secret.toml").write_text("")
    (tmp_path / "secret.toml").chmod(0)
    cases = {tmp_path: "Is a directory", tmp_path / "large.toml": "larger than", tmp_path / "a" / "b": "No such file"}
    if os.geteuid() != 0:
        cases[tmp_path / "secret.toml"] = "Permission denied"
    for path, expected in cases.items():
        with pytest.raises(Refusal, match=expected) as caught:
            config.load(path)
        assert str(path) in caught.value.message


def test_a_file_with_a_mark_of_its_encoding_names_the_line_that_is_none(tmp_path):
    (tmp_path / "c.toml").write_bytes(b"# fine\n# gr\xfcn\n")
    with pytest.raises(Refusal, match=r"not UTF-8 \(line 2\)"):
        config.load(tmp_path / "c.toml")


def test_a_missing_file_and_one_that_is_no_text_are_refused_by_name(tmp_path):
    with pytest.raises(Refusal, match="No such file"):
        config.load(tmp_path / "absent.toml")
    (tmp_path / "binary.toml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(Refusal, match="not UTF-8"):
        config.load(tmp_path / "binary.toml")


SHOP = '[[functions]]\nname = "shop"\nmodules = ["shop.tasks"]\n'


def test_tables_of_functions_are_read_in_their_order_and_their_home_is_found(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", "/home/me")
    path = tmp_path / "config.toml"
    more = (
        'path = "~/shop"\npython = "~/shop/.venv/bin/python"\n[library]\nfolder = "~/plugins"\nentry_points = false\n'
    )
    path.write_text('[[functions]]\nname = "first"\nmodules = ["a"]\n' + SHOP + more)
    loaded = config.load(path)
    assert [each.name for each in loaded.functions] == ["first", "shop"]
    assert (loaded.functions[0].path, loaded.functions[0].python) == ("", "")
    assert loaded.functions[1] == config.FunctionSource(
        name="shop", modules=("shop.tasks",), path="/home/me/shop", python="/home/me/shop/.venv/bin/python"
    )
    assert (loaded.library_folder, loaded.library_entry_points) == ("/home/me/plugins", False)
    assert config.load(None).functions == ()


def test_mistakes_in_tables_of_functions_are_named_with_the_line_of_their_own_table(tmp_path):
    message = refused(
        tmp_path,
        f'{SHOP}\n[[functions]]\nname = "shop"\nmodules = "a"\n\n[[functions]]\npath = "shop"\nspeed = 1\n[tasks]\ngrace_s = -1\n',
    )
    for expected in (
        "line 6: functions[2].name is taken: there is another shop before it",
        "line 7: functions[2].modules must be a list of modules",
        "line 9: functions[3] has no name",
        "line 9: functions[3] has no modules",
        "line 10: functions[3].path must be a path that begins with / or ~",
        "line 11: functions[3].speed is unknown; there are name, modules, path, python",
        "line 13: tasks.grace_s must be",
    ):
        assert expected in message


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("functions = 3\n", "functions must be tables"),
        ("functions = [3]\n", "functions[1] must be a table"),
        ("[functions]\n", "functions must be tables"),
        ('[[functions]]\nname = "builtin"\nmodules = ["a"]\n', "tsched's own"),
        ('[[functions]]\nname = "a::b"\nmodules = ["a"]\n', "must be a name"),
        ('[[functions]]\nname = "a"\nmodules = []\n', "must be a list of modules"),
        ('[[functions]]\nname = "a"\nmodules = ["a/b.py"]\n', "must be a list of modules"),
        ('[[functions]]\nname = "a"\nmodules = ["a"]\npython = "python3"\n', "must be a path that begins with / or ~"),
        ('[library]\nfolder = "plugins"\n', "library.folder must be a path"),
        ("[library]\nentry_points = 1\n", "must be true or false"),
    ],
)
def test_tables_of_functions_and_the_library_are_checked(tmp_path, text, expected):
    assert expected in refused(tmp_path, text)
