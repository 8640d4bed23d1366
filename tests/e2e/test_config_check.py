"""`tsched config check`: every mistake at once, and no service needed for it."""

import json
import os
import subprocess

from support.service import TSCHED


def check(tmp_path, *args):
    env = {"HOME": str(tmp_path), "PATH": os.environ["PATH"], "LANG": "C.UTF-8"}
    argv = [TSCHED, "config", "check", *args]
    return subprocess.run(argv, env=env, capture_output=True, text=True, check=False, timeout=60, cwd=tmp_path)


def test_a_good_file_is_named_and_without_one_that_is_said(tmp_path):
    (tmp_path / "c.toml").write_text("[tasks]\ngrace_s = 1\n")
    done = check(tmp_path, "--config", "c.toml")
    assert (done.returncode, done.stdout) == (0, f"{tmp_path}/c.toml is free of mistakes\n")
    assert json.loads(check(tmp_path, "--config", "c.toml", "--json").stdout)["mistakes"] == []
    assert "defaults" in check(tmp_path).stdout
    assert not (tmp_path / ".local").exists()


def test_all_mistakes_are_told_with_line_and_key(tmp_path):
    (tmp_path / "c.toml").write_text("[tasks]\nshel = 1\ngrace_s = nan\n\n[kitchen]\n")
    done = check(tmp_path, "--config", "c.toml")
    assert (done.returncode, done.stdout) == (2, "")
    assert [line.partition("c.toml: ")[2].split()[:3] for line in done.stderr.splitlines()] == [
        ["line", "2:", "tasks.shel"],
        ["line", "3:", "tasks.grace_s"],
        ["line", "5:", "kitchen"],
    ]
    done = check(tmp_path, "--config", "c.toml", "--json")
    told = json.loads(done.stdout)
    assert (done.returncode, told["error"]["reason"]) == (2, "bad_config")
    assert [(each["line"], each["key"]) for each in told["mistakes"]] == [
        (2, "tasks.shel"),
        (3, "tasks.grace_s"),
        (5, "kitchen"),
    ]


def test_what_cannot_be_read_or_is_no_toml_is_one_line(tmp_path):
    (tmp_path / "c.toml").write_text("[tasks\n")
    for name, word in (("c.toml", "line 1"), ("absent", "No such file"), (".", "Is a directory")):
        done = check(tmp_path, "--config", name)
        assert (done.returncode, done.stderr.count("\n")) == (2, 1), done.stderr
        assert word in done.stderr
