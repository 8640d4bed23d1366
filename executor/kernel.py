"""The few system calls Python has no name for."""

from __future__ import annotations

import ctypes
import os
import signal

SIGSET_WORDS = 16
SFD_FLAGS = os.O_NONBLOCK | os.O_CLOEXEC
PR_SET_PDEATHSIG = 1
PR_SET_DUMPABLE = 4
PR_SET_CHILD_SUBREAPER = 36
CLONE_NEWNS = 0x00020000
FALLOC_FL_KEEP_SIZE, FALLOC_FL_PUNCH_HOLE = 1, 2
CAPABILITY_VERSION = 0x20080522
KEYCTL = {"x86_64": 250, "aarch64": 219}
"""The number of the system call, where we know it."""
KEYCTL_JOIN_SESSION_KEYRING = 1

_libc = ctypes.CDLL(None, use_errno=True)


def die_with(parent: int) -> None:
    """Have this process killed when its parent's starting thread ends; at once when that has happened already."""
    _prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        os.kill(os.getpid(), signal.SIGKILL)


def become_subreaper() -> None:
    """Orphaned descendants of this process become its children."""
    _prctl(PR_SET_CHILD_SUBREAPER, 1)


def reset_signals() -> None:
    """Nothing blocked, and nothing ignored but what Python ignores and unignores itself: tasks inherit both."""
    pythons_own = {signal.SIGPIPE, signal.SIGXFSZ}
    for number in signal.valid_signals() - pythons_own:
        if signal.getsignal(number) == signal.SIG_IGN:
            signal.signal(number, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_SETMASK, [])


def enter_mount_namespace() -> bool:
    """A mount namespace of our own, as a mark on all we start; mounts spread as before. False without the privilege."""
    return bool(_libc.unshare(CLONE_NEWNS) == 0)


def drop_capabilities() -> None:
    """Have no privilege any more, nor any to hand on (capset(2), version 3)."""
    header = (ctypes.c_uint32 * 2)(CAPABILITY_VERSION, 0)
    if _libc.capset(header, (ctypes.c_uint32 * 6)()):
        raise OSError(ctypes.get_errno(), "capset")


def keep_from_tracers() -> None:
    """Others of this user may neither trace this process nor read its memory; a program it execs is like any other."""
    _prctl(PR_SET_DUMPABLE, 0)


def leave_session_keyring() -> None:
    """Have an empty session keyring of our own: that of the one who started the service holds their keys."""
    number = KEYCTL.get(os.uname().machine)
    if number is not None:
        _libc.syscall(number, KEYCTL_JOIN_SESSION_KEYRING, None, 0, 0, 0)


def signal_descriptor(number: signal.Signals) -> int:
    """Block the signal, and get a descriptor that becomes readable while it is pending (signalfd(2))."""
    signal.pthread_sigmask(signal.SIG_BLOCK, [number])
    word, bit = divmod(number - 1, 8 * ctypes.sizeof(ctypes.c_ulong))
    mask = (ctypes.c_ulong * SIGSET_WORDS)()
    mask[word] = 1 << bit
    fd = int(_libc.signalfd(-1, mask, SFD_FLAGS))
    if fd < 0:
        raise OSError(ctypes.get_errno(), "signalfd")
    return fd


def punch_hole(fd: int, place: int, length: int) -> None:
    """Give this part of a file back to the file system, where that can be done; it reads as zeros then."""
    _libc.fallocate(fd, FALLOC_FL_KEEP_SIZE | FALLOC_FL_PUNCH_HOLE, ctypes.c_long(place), ctypes.c_long(length))


def _prctl(option: int, value: int) -> None:
    if _libc.prctl(option, value, 0, 0, 0):
        raise OSError(ctypes.get_errno(), f"prctl({option}, {value})")
