"""The log's files: named by the day of their lines, bounded in size, age and number, and no fault of theirs stops anybody."""

import os
import shutil

import pytest

from tsched.supervisor.log_files import Limits, LogFiles, Part, doomed, part_of

LIMITS = Limits(rotate_bytes=100, keep_days=3, keep_files=4)


class Troubles(list):
    __call__ = list.append


@pytest.fixture
def troubles():
    return Troubles()


@pytest.fixture
def files(tmp_path, troubles):
    made = LogFiles(tmp_path / "logs", LIMITS, troubles)
    yield made
    made.close()


def names(files):
    return sorted(os.listdir(files.folder))


def test_a_line_goes_to_the_file_of_its_day_for_this_user_alone(files):
    assert files.write("one", "2026-11-22")
    path = files.folder / "tsched-2026-11-22.jsonl"
    assert path.read_text() == "one\n"
    assert (files.folder.stat().st_mode & 0o777, path.stat().st_mode & 0o777) == (0o700, 0o600)


def test_a_new_day_has_a_new_file_and_a_clock_set_back_returns_to_the_old_one(files):
    for day in ("2026-11-22", "2026-11-23", "2026-11-22"):
        files.write(day, day)
    assert names(files) == ["tsched-2026-11-22.jsonl", "tsched-2026-11-23.jsonl"]
    assert (files.folder / "tsched-2026-11-22.jsonl").read_text() == "2026-11-22\n2026-11-22\n"


def test_a_file_that_would_become_too_large_is_followed_by_the_next_and_none_is_cut(files):
    for _ in range(5):
        files.write("x" * 49, "2026-11-22")
    assert names(files) == ["tsched-2026-11-22-2.jsonl", "tsched-2026-11-22-3.jsonl", "tsched-2026-11-22.jsonl"]
    assert [(files.folder / name).stat().st_size for name in names(files)] == [100, 50, 100]
    files.write("y" * 500, "2026-11-22")
    assert (files.folder / "tsched-2026-11-22-4.jsonl").read_text() == "y" * 500 + "\n"


def test_the_next_service_goes_on_with_the_newest_file_on_a_line_of_its_own(files, troubles):
    files.write("first", "2026-11-22")
    files.close()
    with (files.folder / "tsched-2026-11-22.jsonl").open("a") as torn:
        torn.write('{"half')
    again = LogFiles(files.folder, LIMITS, troubles)
    again.write("second", "2026-11-22")
    again.close()
    assert (files.folder / "tsched-2026-11-22.jsonl").read_text() == 'first\n{"half\nsecond\n'


def test_old_files_go_by_age_and_by_number_and_nothing_else_does(files):
    files.folder.mkdir()
    for day in range(10, 22):
        (files.folder / f"tsched-2026-11-{day}.jsonl").touch()
    (files.folder / "precious.jsonl").touch()
    files.write("now", "2026-11-22")
    days = ["tsched-2026-11-20.jsonl", "tsched-2026-11-21.jsonl", "tsched-2026-11-22.jsonl"]
    assert names(files) == ["precious.jsonl", *days]


def test_which_files_go_is_told_by_their_names():
    parts = [Part("2026-11-22", number) for number in (1, 2, 3, 10, 11)]
    assert doomed(parts, Part("2026-11-22", 11), LIMITS) == [Part("2026-11-22", 1)]
    assert part_of("tsched-2026-11-22-10.jsonl") == Part("2026-11-22", 10)
    assert part_of("tsched-2026-11-22.jsonl.gz") is None


def test_a_folder_that_is_taken_away_is_made_again(files, troubles):
    files.write("one", "2026-11-22")
    shutil.rmtree(files.folder)
    assert files.write("two", "2026-11-22")
    assert (files.folder / "tsched-2026-11-22.jsonl").read_text() == "two\n"
    files.folder.rename(files.folder.with_name("elsewhere"))
    assert files.write("three", "2026-11-22")
    assert (files.folder / "tsched-2026-11-22.jsonl").read_text() == "three\n"
    assert troubles == []


def test_what_cannot_be_written_is_told_once_and_its_end_once(files, troubles):
    files.folder.write_text("a file")
    assert [files.write("lost", "2026-11-22") for _ in range(3)] == [False] * 3
    assert len(troubles) == 1
    assert str(files.folder) in troubles[0]
    files.folder.unlink()
    assert files.write("kept", "2026-11-22")
    assert len(troubles) == 2
    assert troubles[1] == ""


def test_on_a_full_disk_lines_are_lost_one_by_one_and_none_is_joined_to_the_next(files, troubles):
    files.folder.mkdir()
    (files.folder / "tsched-2026-11-22.jsonl").symlink_to("/dev/full")
    assert not files.write("never follows a link", "2026-11-22")
    (files.folder / "tsched-2026-11-22.jsonl").unlink()
    assert files.write("fine", "2026-11-22")


def test_descriptors_are_not_lost_over_many_files(files):
    before = len(os.listdir("/proc/self/fd"))
    for number in range(50):
        files.write("x" * 90, f"2026-11-{number % 28 + 1:02}")
    assert len(os.listdir("/proc/self/fd")) == before + 1
