"""Native plugins: shared libraries with the binary interface of tsched_plugin.h. In the function's own interpreter.

What a plugin gets wrong in its table is told; what it gets wrong with its memory ends this process, and no other.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from ctypes import CFUNCTYPE, POINTER, c_char_p, c_double, c_int32, c_size_t, c_uint32, c_void_p, string_at
from typing import Any

from ..client.context import Context, current
from ..proto.plain import SIZE_LIMIT
from .copies import in_memory
from .found import MESSAGE_LIMIT, BadAnswerError, Function, NativeError, SourceError, name_problem, shortened

ABI = 1
"""TSCHED_PLUGIN_ABI."""
ASYNC = 1
"""TSCHED_ASYNC, and all flags there are."""
COUNT_LIMIT = 10_000
LIMIT = 16_000
"""Characters of a signature, and of a documentation."""

_Give = CFUNCTYPE(None, c_void_p, c_void_p, c_size_t)
_Progress = CFUNCTYPE(None, c_void_p, c_double, c_double, c_char_p)
_Cancelled = CFUNCTYPE(c_int32, c_void_p)
_Native = CFUNCTYPE(None, c_void_p)


class _Call(ctypes.Structure):
    """struct tsched_call."""

    _fields_ = (
        ("args", c_char_p),
        ("args_size", c_size_t),
        ("succeed", _Give),
        ("fail", _Give),
        ("progress", _Progress),
        ("cancelled", _Cancelled),
    )


class _Function(ctypes.Structure):
    """struct tsched_function."""

    _fields_ = (
        ("name", c_char_p),
        ("signature", c_char_p),
        ("doc", c_char_p),
        ("function", c_void_p),
        ("flags", c_uint32),
    )


class _Plugin(ctypes.Structure):
    """struct tsched_plugin."""

    _fields_ = (("abi", c_uint32), ("count", c_uint32), ("functions", POINTER(_Function)))


class _Answer:
    """How a call has ended, as far as the plugin has said yet, perhaps in a thread of its own."""

    def __init__(self) -> None:
        try:
            self._context: Context | None = current()
        except RuntimeError:
            self._context = None
        self._result = b""
        self._problem: Exception | None = None
        self.interrupted: BaseException | None = None
        """What came up while the plugin asked us something, as Cancelled does, and could not pass through it."""

    def succeed(self, address: int | None, size: int) -> None:
        """It gave a result."""
        self._problem = None
        if size > SIZE_LIMIT:
            self._problem = BadAnswerError(f"the result has {size} bytes; at most {SIZE_LIMIT} can be sent")
        elif size and not address:
            self._problem = BadAnswerError(f"the result is said to have {size} bytes, but is NULL")
        else:
            self._result = string_at(address, size) if address else b""

    def fail(self, address: int | None, size: int) -> None:
        """It gave up."""
        text = string_at(address, min(size, 4 * MESSAGE_LIMIT)).decode(errors="replace") if address else ""
        self._problem = NativeError(shortened(text, MESSAGE_LIMIT) or "it failed without saying why")

    def progress(self, done: float, total: float, text: bytes | None) -> None:
        """It said how far it is."""
        if self._context is not None:
            self._context.progress(done, (text or b"").decode(errors="replace"), total=total or None)

    def cancelled(self) -> int:
        """It asked whether it is being ended."""
        return int(self._context is not None and self._context.cancelled())

    def get(self) -> bytes:
        """The result. Raises NativeError, BadAnswerError, and what could not be raised earlier."""
        if self.interrupted is not None:
            raise self.interrupted
        if self._problem is not None:
            raise self._problem
        return self._result


_answers: dict[int, _Answer] = {}
"""Of the calls that run, by the address of the struct they were given. One that comes late finds nothing here."""


def _back(told: Callable[..., int | None]) -> Callable[..., int | None]:
    """What the plugin calls: hands on to the call's answer. Nothing may be raised through a plugin."""

    def back(address: int, *what: Any) -> int | None:
        answer = _answers.get(address)
        if answer is None:
            return 0
        try:
            return told(answer, *what)
        except Exception:  # noqa: BLE001 - as of a progress that nobody takes
            return 0
        except BaseException as error:  # noqa: BLE001 - it goes on where it can, when the plugin returns
            answer.interrupted = error
            return 1

    return back


_SUCCEED = _Give(_back(_Answer.succeed))
_FAIL = _Give(_back(_Answer.fail))
_PROGRESS = _Progress(_back(_Answer.progress))
_CANCELLED = _Cancelled(_back(_Answer.cancelled))
_LIBC = ctypes.CDLL(None)


def functions(plugin: str, path: str) -> list[Function]:
    """The functions of a plugin, named PLUGIN::FUNCTION. Raises SourceError for the first thing that is wrong."""
    table = _table(path)
    made: dict[str, Function] = {}
    for place in range(table.count):
        entry = table.functions[place]
        name = _name(entry, f"function {place + 1} of {table.count}")
        if name in made:
            raise SourceError(f"two functions are called {name}")
        made[name] = _function(f"{plugin}::{name}", entry)
    return list(made.values())


def _table(path: str) -> _Plugin:
    """What init_plugin hands over, looked at as far as it can be without calling anything."""
    try:
        init = _library(path).init_plugin
    except OSError as error:
        raise SourceError(str(error)) from None
    except AttributeError:
        raise SourceError("it exports no function init_plugin") from None
    init.restype = POINTER(_Plugin)
    init.argtypes = ()
    table = init()
    if not table:
        raise SourceError("init_plugin returned NULL: the plugin says that it cannot work here")
    plugin: _Plugin = table.contents
    if plugin.abi != ABI:
        raise SourceError(f"it has version {plugin.abi} of the plugin ABI; this tsched has {ABI}: build it anew")
    if not 1 <= plugin.count <= COUNT_LIMIT or not plugin.functions:
        raise SourceError(f"its table has {plugin.count} functions{'' if plugin.functions else ' and is NULL'}")
    return plugin


def _library(path: str) -> ctypes.CDLL:
    """The library, from a copy if that can be loaded. Raises OSError, which names the path."""
    try:
        return ctypes.CDLL(in_memory(path))
    except OSError:
        return ctypes.CDLL(path)


def _name(entry: _Function, which: str) -> str:
    """The name of a function of which all is well. Raises SourceError."""
    if not entry.name:
        raise SourceError(f"{which} has no name")
    try:
        name = str(entry.name, "utf-8")
    except UnicodeDecodeError:
        raise SourceError(f"{which}: its name is not UTF-8: {entry.name!r}") from None
    problem = name_problem(name) or ("a name in a plugin has no ::" if "::" in name else "")
    if problem:
        raise SourceError(f"{which}: its name is {name!r}; {problem}")
    if not entry.function:
        raise SourceError(f"{which}, {name}: its function is NULL")
    if entry.flags & ~ASYNC:
        raise SourceError(f"{which}, {name}: it has flags that this tsched does not know: {entry.flags:#x}")
    return name


def _function(name: str, entry: _Function) -> Function:
    signature, doc = (shortened((text or b"").decode(errors="replace"), LIMIT) for text in (entry.signature, entry.doc))
    call = _caller(_Native(entry.function))
    return Function(name, "", bool(entry.flags & ASYNC), native=True, call=call, signature=signature, doc=doc)


def _caller(function: Callable[[int], None]) -> Callable[[bytes], bytes]:
    def call(args: bytes) -> bytes:
        handed = _Call(args, len(args), _SUCCEED, _FAIL, _PROGRESS, _CANCELLED)
        address = ctypes.addressof(handed)
        answer = _answers[address] = _Answer()
        try:
            function(address)
        finally:
            del _answers[address]
            _LIBC.fflush(None)  # what it printed lies in a buffer of C's
        return answer.get()

    return call
