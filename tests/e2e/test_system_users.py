"""A service of several users: everybody's tasks run as themselves, and nobody comes near another's, or the service."""

import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from support import procs
from support.system import GROUP, System, alone, make_account, open_folder, remove_account, uid_of
from support.wait import until
from tsched.supervisor import system as system_check

CONFIG = f'[system]\ngroup = "{GROUP}"\n[executors]\ncount = 1\nslots = 4\n'
PLUGIN = """
import os, sys
from tsched import task

if os.getuid() == 0:
    sys.exit("root imports it")

@task
def who() -> list[str]:
    return [str(os.getuid()), str(os.getgid()), os.environ["HOME"], os.environ["USER"], *map(str, os.getgroups())]

@task
async def me() -> int:
    return os.getuid()
"""
ATTACKS = r"""
import ctypes, os, signal, socket, sys
state, private, runner, executor, supervisor = sys.argv[1], sys.argv[2], *map(int, sys.argv[3:])
done = []

def attack(name, action):
    try:
        action()
        done.append(name)
    except OSError:
        pass

def connect(path):
    with socket.socket(socket.AF_UNIX) as ours:
        ours.connect(path)

def trace(pid):
    if ctypes.CDLL(None, use_errno=True).ptrace(16, pid, 0, 0) < 0:
        raise OSError("ptrace")

attack("list the state", lambda: os.listdir(state))
for name in ("tsched.db", "output.db", "lock", "key"):
    attack(f"open {name}", lambda: open(f"{state}/{name}", "rb").close())
for name in ("inner.sock", "link.sock"):
    attack(f"connect to {name}", lambda: connect(f"{private}/{name}"))
for name, pid in (("executor", executor), ("supervisor", supervisor)):
    attack(f"signal the {name}", lambda: os.kill(pid, signal.SIGCONT))
    attack(f"reprioritize the {name}", lambda: os.setpriority(os.PRIO_PROCESS, pid, 19))
for name, pid in (("runner", runner), ("executor", executor), ("supervisor", supervisor)):
    if os.getuid() != 0:  # one who may leaves it stopped
        attack(f"trace the {name}", lambda: trace(pid))
    for file in ("environ", "mem", "maps"):
        attack(f"read {file} of the {name}", lambda: open(f"/proc/{pid}/{file}", "rb").read(1))
    attack(f"see the descriptors of the {name}", lambda: os.readlink(f"/proc/{pid}/fd/0"))
attack("become root", lambda: os.setuid(0))
for fd in range(3, 1024):
    attack(f"use descriptor {fd}", lambda: os.fstat(fd))
print(*done, sep="\n")
"""


@pytest.fixture(scope="module")
def system(everywhere):
    """One that these tests leave as it was: it serves all of them."""
    with open_folder() as base:
        service = System(base, everywhere, CONFIG)
        service.start()
        procs.shared.add(service.pid)
        yield service
        procs.shared.discard(service.pid)
        service.close()


def test_a_task_runs_as_who_submitted_it_with_their_groups_home_and_no_privilege(system, people):
    for account in people[:2]:
        groups = subprocess.run(["id", "-G", account.name], check=True, capture_output=True, text=True).stdout
        line = "id -u; id -ru; id -G; pwd; echo $HOME $USER $LOGNAME; grep -E 'Cap(Inh|Prm|Eff|Amb)' /proc/self/status"
        uid, real, has, cwd, names, *capabilities = system.said_by(account, f"{line}; echo fine > /dev/stderr")
        assert (uid, real) == (str(account.uid), str(account.uid))
        assert sorted(has.split()) == sorted(groups.split())
        assert (cwd, names) == (account.home, f"{account.home} {account.name} {account.name}")
        assert len(capabilities) == 4
        assert {each.split()[1] for each in capabilities} == {"0" * 16}
    assert system.json("status")["several_users"]


def test_functions_run_as_who_calls_them_and_are_looked_at_as_nobody(make_system, people):
    with open_folder() as library:
        plugin = library / "whoami.py"
        plugin.write_text(PLUGIN)
        plugin.chmod(0o644)
        system = make_system(f'{CONFIG}[library]\nfolder = "{library}"\n')
        for account in people[:2]:
            told = json.loads(system.cli_as(account, "call", "whoami::who").text)
            assert told[:4] == [str(account.uid), str(account.uid), account.home, account.name]
            assert "0" not in told[4:]
            assert json.loads(system.cli_as(account, "call", "whoami::me").text) == account.uid


def test_neither_sees_nor_touches_what_is_the_others_and_root_sees_all(system, people):
    first, second, _ = people
    task = system.cli_as(first, "run", "-d", "--hold", "--", "true").word
    for words in (("show", task), ("cancel", task), ("logs", task), ("release", task), ("delete", task)):
        assert "no task" in str(system.cli_as(second, *words, check=False))
    assert task not in [each["id"] for each in system.json_as(second, "list")]
    assert task in [each["id"] for each in system.json("list")]
    assert system.cli_as(first, "cancel", task).code == 0


def test_root_may_submit_only_where_the_configuration_says_so(system, make_system):
    refused = system.cli("run", "--", "id", "-u", check=False)
    assert (refused.code, refused.stdout) == (1, b"")
    assert "runs nothing as root" in refused.stderr.decode()
    assert "root_tasks" in refused.stderr.decode()
    allowed = make_system(CONFIG.replace("[system]", "[system]\nroot_tasks = true"))
    assert allowed.cli("run", "--", "id", "-u").word == "0"
    assert "root" in str(allowed.cli("doctor"))


def test_who_is_not_in_the_group_cannot_connect_and_is_told_which_group_it_is(system, people):
    refused = system.cli_as(people[2], "status", check=False)
    assert refused.code == 2
    assert GROUP in refused.stderr.decode()
    assert system.socket.stat().st_mode & 0o777 == 0o660
    assert system.private.stat().st_mode & 0o777 == 0o700
    assert system.state_dir.stat().st_mode & 0o777 == 0o700


def test_without_its_group_root_alone_connects_and_the_log_and_doctor_say_so(make_system, people):
    system = make_system('[system]\ngroup = "tsx-no-such-group"\n')
    refused = system.cli_as(people[0], "status", check=False)
    assert refused.code == 2
    assert "root alone" in refused.stderr.decode()
    assert "tsx-no-such-group" in str(system.cli("doctor"))
    [said] = [line for line in system.log_lines() if line["event"] == "several_users"]
    assert said["only_root"]


def test_a_task_reaches_nothing_of_the_service(system, people):
    account = people[0]
    script = system.base / "attacks.py"
    script.write_text(ATTACKS)
    script.chmod(0o644)
    [executor] = system.json("status")["executors"]
    where = f"{system.state_dir} {system.private} $PPID {executor['pid']} {system.pid}"
    assert system.said_by(account, f"exec /usr/bin/python3 {script} {where}") == [""]
    as_root = subprocess.run(["sh", "-c", f"python3 {script} {where}"], check=True, capture_output=True, text=True)
    assert "open tsched.db" in as_root.stdout
    assert "see the descriptors of the executor" in as_root.stdout
    assert uid_of(executor["pid"]) == 0


def test_who_forges_the_name_of_a_socket_is_still_themselves_and_behind_it_nobody(system, people, tmp_path):
    account = people[0]
    call = (
        "import socket, sys, os, json\n"
        "ours = socket.socket(socket.AF_UNIX); ours.bind(sys.argv[2]); ours.connect(sys.argv[1])\n"
        "import grpc\n"
    )
    forged = f"{account.home}/p.0.1.1"
    relay = system.base / "relay.py"
    relay.write_text(f"{call}{RELAY}")
    python = system.supervisor[0]
    said = system.run_as(account, python, str(relay), str(system.socket), forged).word
    assert said == "FORBIDDEN Doctor"
    done = subprocess.run(
        [python, relay, system.private / "inner.sock", tmp_path / "p.0.1.1"], check=True, capture_output=True, text=True
    )
    assert done.stdout.strip() == "UNAUTHENTICATED Doctor"


RELAY = """
import threading
inside, outside = f"{sys.argv[2]}.r", ours
listener = socket.socket(socket.AF_UNIX); listener.bind(inside); listener.listen()

def copy(source, to):
    while data := source.recv(65536):
        to.sendall(data)

def serve():
    came, _ = listener.accept()
    threading.Thread(target=copy, args=(came, outside), daemon=True).start()
    copy(outside, came)

threading.Thread(target=serve, daemon=True).start()
from tsched.proto import api_pb2, api_pb2_grpc
with grpc.insecure_channel(f"unix:{inside}") as channel:
    try:
        api_pb2_grpc.ControlStub(channel).Doctor(api_pb2.DoctorRequest(), timeout=20)
        print("served")
    except grpc.RpcError as error:
        print({"PERMISSION_DENIED": "FORBIDDEN"}.get(error.code().name, error.code().name), "Doctor")
os._exit((sys.stdout.flush(), 0)[1])
"""


def test_many_idle_connections_of_one_user_stop_nobody_else(system, people):
    first, second, _ = people
    hoard = (
        "import socket, sys\nheld = []\nfor _ in range(600):\n    one = socket.socket(socket.AF_UNIX)\n"
        "    one.connect(sys.argv[1])\n    held.append(one)\nprint('all', flush=True)\nsys.stdin.read()\n"
    )
    hoarder = subprocess.Popen(
        system.words_as(first, "/usr/bin/python3", "-c", hoard, str(system.socket)),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        cwd="/",
    )
    try:
        assert hoarder.stdout.readline() == b"all\n"
        assert system.said_by(second, "echo served") == ["served"]
        until(lambda: [line for line in system.log_lines() if line["event"] == "too_many_connections"])
        assert system.json("status")["several_users"]
    finally:
        hoarder.communicate()
    until(lambda: system.cli_as(first, "status", check=False).code == 0)


def test_a_user_who_is_gone_runs_nothing_and_the_task_says_why(system, people):
    name = f"tsx{os.getpid()}g"
    with alone():
        gone = make_account(name, GROUP)
    try:
        task = system.cli_as(gone, "run", "-d", "--hold", "--cwd", "/", "--", "true").word
        called = system.cli_as(gone, "call", "-d", "--hold", "echo", "1").word
    finally:
        with alone():
            remove_account(name)
    for each in (task, called):
        system.cli("release", each)
        assert system.cli("wait", each, check=False).code == 1
        shown = system.task(each)
        assert (shown["state"], shown["reason"]) == ("failed", "user_unusable")
        assert f"user {gone.uid} is not known" in shown["message"]


def test_a_folder_that_is_closed_to_the_user_is_no_folder_to_work_in(system, people):
    first, second, _ = people
    os.chmod(second.home, 0o700)
    task = system.cli_as(first, "run", "-d", "--cwd", second.home, "--", "true").word
    assert system.cli("wait", task, check=False).code == 1
    shown = system.task(task)
    assert (shown["reason"], second.home in shown["message"]) == ("cwd_unusable", True)


def test_only_root_starts_it_and_only_where_all_can_reach_python(system, people, tmp_path):
    refused = system.cli_as(people[0], "up", "-d", "--system", check=False)
    assert (refused.code, "only root" in refused.stderr.decode()) == (2, True)
    words = ["--system", "--state-dir", str(tmp_path / "state"), "--socket", str(system.base / "other" / "s")]
    env = {"PATH": "/usr/bin:/bin"}
    (tmp_path / "state").mkdir(mode=0o755)
    done = subprocess.run([*system.supervisor, *words[1:]], check=False, capture_output=True, env=env, text=True)
    assert (done.returncode, "chmod 700" in done.stderr) == (2, True)
    if system_check.closed_to_others(Path(sys.executable)) is not None:
        hidden = [sys.executable, "-P", "-m", "tsched.supervisor", *words]
        done = subprocess.run(hidden, check=False, capture_output=True, env=env, text=True)
        assert (done.returncode, "closed to them" in done.stderr) == (2, True)


def test_what_is_left_of_a_users_task_is_ended_with_it(system, people):
    account = people[0]
    line = f"trap '' TERM; (setsid env -i /bin/sh -c 'echo $$ > {account.home}/daemon; exec sleep 600' &); sleep 600"
    task = system.cli_as(account, "run", "-d", "--grace", "200ms", "--command", line).word
    path = f"{account.home}/daemon"
    until(lambda: Path(path).exists() and Path(path).read_text().strip())
    daemon = int(Path(path).read_text())
    assert uid_of(daemon) == account.uid
    system.cli_as(account, "pause", task)
    until(lambda: procs.look(daemon).state == "T")
    system.cli_as(account, "resume", task)
    until(lambda: procs.look(daemon).state != "T")
    system.cli_as(account, "cancel", task)
    assert system.cli_as(account, "wait", task, check=False).code == 128 + signal.SIGKILL
    assert not procs.alive(daemon)
    os.unlink(path)


def test_what_has_become_root_below_a_users_task_is_ended_with_it(system, people):
    account = people[0]
    with open_folder() as folder:
        become = shutil.copy(shutil.which("setpriv") or "", folder)
        os.chmod(become, 0o4755)
        as_root = f"{become} --reuid 0 --regid 0 --clear-groups"
        if system.said_by(account, f"{as_root} id -ru") != ["0"]:
            pytest.skip("set-uid has no effect here: NOTHING BECAME ROOT BELOW A TASK")
        task = system.cli_as(account, "run", "-d", "--command", f"{as_root} sleep 600 & sleep 0.1; echo done").word
        assert system.cli_as(account, "wait", task).code == 0
        assert system.json_as(account, "show", task)["attempts"][0]["leftovers"] == 1
